"""Which developer a key belongs to, and which organization a developer has alone."""

import pytest

from accounts.models import User
from core import clock
from developers.acting import as_developer
from developers.api_keys import rotate_api_key
from developers.models import Developer
from developers.selectors import (
    api_keys_for_developer,
    memberships_of,
    sole_organizations,
)
from developers.services import add_organization, become_developer
from tests.world import ANONYMOUS, developer_for_api_key, make_developer, make_member, make_user

pytestmark = pytest.mark.django_db


def rotate(developer: Developer, overlap_seconds: int) -> str:
    actor = as_developer(ANONYMOUS, developer)
    return rotate_api_key(actor=actor, developer=developer, overlap_seconds=overlap_seconds).value


def test_live_keys_are_listed_newest_first(developer: Developer) -> None:
    keys = [rotate(developer, 0), rotate(developer, 60), rotate(developer, 60)]
    assert [key.last_four for key in api_keys_for_developer(developer)] == [key[-4:] for key in reversed(keys)]


def test_the_key_of_a_deactivated_user_identifies_no_developer() -> None:
    made = become_developer(actor=ANONYMOUS, user=make_user("dev@example.com"), name="Acme")
    assert developer_for_api_key(made.api_key) == made.developer
    User.objects.update(is_active=False)
    assert developer_for_api_key(made.api_key) is None


def test_memberships_are_listed_oldest_first_until_they_end(developer: Developer) -> None:
    other = add_organization(developer.user, "Other")
    assert list(memberships_of(developer.user)) == [developer, other]
    Developer.objects.filter(pk=developer.pk).update(ended_at=clock.now())
    assert list(memberships_of(developer.user)) == [other]
    assert not memberships_of(make_user("ada@example.com"))


def test_an_organization_with_two_developers_belongs_to_neither_alone(developer: Developer) -> None:
    make_developer("rival@example.com")
    other = add_organization(developer.user, "Other").organization
    assert {*sole_organizations(developer.user)} == {developer.organization, other}
    colleague = make_member(developer, "bob@example.com", "auditor")
    assert list(sole_organizations(developer.user)) == [other]
    assert not sole_organizations(colleague.user)
    Developer.objects.filter(pk=colleague.pk).update(ended_at=clock.now())
    assert sole_organizations(developer.user).count() == 2
