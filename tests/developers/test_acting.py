"""Whether the acting developer may still write when the transaction begins."""

from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from core.actor import SYSTEM
from core.errors import NotAuthenticated
from developers.acting import as_developer, hold_developer
from developers.errors import OrganizationSuspended
from developers.models import Developer
from developers.services import suspend_organization
from tests.shared import cases
from tests.world import ANONYMOUS, as_user

pytestmark = pytest.mark.django_db


def hold(developer: Developer) -> None:
    with transaction.atomic():
        hold_developer(as_developer(ANONYMOUS, developer))


def test_an_unchanged_developer_may_write_from_the_same_address(developer: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    assert (actor.kind, actor.id, actor.ip) == ("developer", developer.id, ANONYMOUS.ip)
    hold(developer)


@cases("change", [{"password": "changed"}, {"is_active": False}])
def test_a_developer_whose_account_has_changed_may_not_write(developer: Developer, change: dict[str, Any]) -> None:
    User.objects.filter(pk=developer.user_id).update(**change)
    with pytest.raises(NotAuthenticated):
        hold(developer)


def test_a_deleted_developer_may_not_write(developer: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    developer.delete()
    with pytest.raises(NotAuthenticated):
        hold_developer(actor)


def test_a_developer_of_a_suspended_organization_learns_the_reason(developer: Developer) -> None:
    suspend_organization(actor=SYSTEM, organization=developer.organization, reason="Fraud reports.")
    with pytest.raises(OrganizationSuspended, match=r"suspended your organization on .* Reason: Fraud reports\."):
        hold(developer)


def test_an_actor_without_account_state_may_not_write_as_a_developer(developer: Developer) -> None:
    with pytest.raises(NotAuthenticated):
        hold_developer(ANONYMOUS.acting_as("developer", developer.id))


def test_other_actors_are_not_checked(developer: Developer, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        for actor in (SYSTEM, ANONYMOUS, as_user(developer.user)):
            hold_developer(actor)
