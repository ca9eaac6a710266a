"""Whether the acting developer may still write when the transaction begins."""

from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from core import clock
from core.actor import SYSTEM
from core.errors import NotAuthenticated
from developers.access import access_of_key
from developers.acting import as_developer, as_key, hold_developer, while_permitted
from developers.api_keys import create_api_key
from developers.errors import OrganizationSuspended
from developers.models import ApiKey, Developer, Organization
from developers.roles import Right, RoleInsufficient
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


def test_a_long_response_goes_on_while_the_role_has_the_right(developer: Developer) -> None:
    pieces = while_permitted(as_developer(ANONYMOUS, developer), Right.ADMINISTER, "abc")
    assert next(pieces) == "a"
    Developer.objects.update(role="admin")  # less than before, but enough
    assert next(pieces) == "b"
    Developer.objects.update(role="developer")
    with pytest.raises(RoleInsufficient):
        next(pieces)


@cases("owned_by_organization", [False, True])
@cases("end", ["key", "membership", "organization"])
def test_a_long_response_to_a_key_ends_with_what_it_needs(
    developer: Developer, owned_by_organization: bool, end: str
) -> None:
    actor = as_developer(ANONYMOUS, developer)
    key = create_api_key(actor=actor, developer=developer, name="ci", owned_by_organization=owned_by_organization).row
    pieces = while_permitted(as_key(ANONYMOUS, key, access_of_key(key)), Right.READ, "ab")
    assert next(pieces) == "a"
    now = clock.now()
    if end == "key":
        ApiKey.objects.filter(pk=key.pk).update(expires_at=now)
    elif end == "membership":
        Developer.objects.update(ended_at=now)
    else:
        Organization.objects.update(suspended_at=now)
    if end == "membership" and owned_by_organization:
        assert [*pieces] == ["b"]
    else:
        with pytest.raises(OrganizationSuspended if end == "organization" else NotAuthenticated):
            next(pieces)
