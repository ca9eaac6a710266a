"""Developers, API keys and organizations: each change is logged by its actor, or does not happen."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.errors import EmailTaken
from accounts.models import User
from core.actor import Actor
from core.errors import NotAuthenticated
from developers import services
from developers.acting import as_developer
from developers.api_keys import rotate_api_key
from developers.models import ApiKey, Developer, Organization
from developers.services import (
    RegisteredDeveloper,
    become_developer,
    reactivate_organization,
    register_developer,
    suspend_organization,
    verify_organization,
)
from tests.constants import MOMENT, NOON, PASSWORD
from tests.log import log_entries, personal_data
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, developer_for_api_key, make_user

ADMINISTRATOR = Actor("administrator", "usr_root", ip="198.51.100.9")

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered() -> RegisteredDeveloper:
    return become_developer(actor=ANONYMOUS, user=make_user("dev@example.com"), name="Acme")


@pytest.fixture
def developer(registered: RegisteredDeveloper) -> Developer:
    return registered.developer


def rotate(developer: Developer, overlap_seconds: int = 0) -> str:
    actor = as_developer(ANONYMOUS, developer)
    return rotate_api_key(actor=actor, developer=developer, overlap_seconds=overlap_seconds).value


def suspend(developer: Developer, reason: str = "Fraud reports.") -> bool:
    return suspend_organization(actor=ADMINISTRATOR, organization=developer.organization, reason=reason)


def reactivate(developer: Developer) -> bool:
    return reactivate_organization(actor=ADMINISTRATOR, organization=developer.organization, reason="Cleared.")


def verify(developer: Developer, *, is_verified: bool = True) -> bool:
    organization, reason = developer.organization, "Papers seen."
    return verify_organization(actor=ADMINISTRATOR, organization=organization, is_verified=is_verified, reason=reason)


def works(api_key: str) -> bool:
    return developer_for_api_key(api_key) is not None


def test_a_registration_creates_an_organization_and_a_working_key() -> None:
    made = register_developer(actor=ANONYMOUS, name="Acme", email="Dev@Example.com", password=PASSWORD)
    assert developer_for_api_key(made.api_key) == made.developer
    assert (made.developer.organization.name, made.developer.user.email) == ("Acme", "dev@example.com")
    assert not made.developer.organization.is_verified


def test_a_new_developer_acts_in_the_log_from_the_callers_address(developer: Developer) -> None:
    entry = log_entries().get(event="developer.registered")
    assert entry.content["actor"] == {"kind": "developer", "id": developer.id}
    assert entry.organization_ids == [developer.organization_id]
    assert personal_data(entry.id)["ip"] == ANONYMOUS.ip


def test_a_developer_cannot_become_a_developer_again(developer: Developer) -> None:
    with pytest.raises(EmailTaken):
        become_developer(actor=ANONYMOUS, user=developer.user, name="Second")
    assert Organization.objects.get() == developer.organization
    assert ApiKey.objects.count() == log_entries(event="developer.registered").count() == 1


@cases("change", [{"password": "changed"}, {"is_active": False}])
def test_an_account_that_has_changed_since_its_sign_in_cannot_become_a_developer(change: dict[str, Any]) -> None:
    user = make_user("dev@example.com")
    User.objects.update(**change)
    with pytest.raises(NotAuthenticated):
        become_developer(actor=ANONYMOUS, user=user, name="Acme")
    assert not Organization.objects.exists()


def test_an_old_key_works_until_the_overlap_ends(registered: RegisteredDeveloper) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        new = rotate(registered.developer, 60)
        clock.move_to(NOON + timedelta(seconds=60) - MOMENT)
        assert (works(registered.api_key), works(new)) == (True, True)
        clock.shift(MOMENT)
        assert (works(registered.api_key), works(new)) == (False, True)


def test_without_an_overlap_all_old_keys_stop_at_once(registered: RegisteredDeveloper) -> None:
    keys = [registered.api_key, rotate(registered.developer, 3600), rotate(registered.developer)]
    assert [works(key) for key in keys] == [False, False, True]


def test_a_later_rotation_does_not_extend_an_overlap(registered: RegisteredDeveloper) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        keys = [registered.api_key, rotate(registered.developer, 60), rotate(registered.developer, 3600)]
        clock.shift(timedelta(seconds=60))
        assert [works(key) for key in keys] == [False, True, True]
        clock.shift(timedelta(seconds=3540))
        assert [works(key) for key in keys] == [False, False, True]


def test_a_rotation_changes_only_the_developers_own_keys(developer: Developer) -> None:
    rival = become_developer(actor=ANONYMOUS, user=make_user("rival@example.com"), name="Rival")
    rotate(developer)
    assert works(rival.api_key)


def test_an_account_that_has_changed_since_its_sign_in_gets_no_key(registered: RegisteredDeveloper) -> None:
    User.objects.update(password="changed")
    with pytest.raises(NotAuthenticated):
        rotate(registered.developer)
    assert ApiKey.objects.get().expires_at is None


def test_no_secret_is_shown_by_repr(registered: RegisteredDeveloper) -> None:
    new = rotate_api_key(actor=ANONYMOUS, developer=registered.developer)
    assert registered.api_key not in repr(registered)
    assert new.value not in repr(new)


def test_a_second_suspension_keeps_the_first_reason(developer: Developer) -> None:
    organization = developer.organization
    assert [suspend(developer, "Spam."), suspend(developer, "Fraud.")] == [True, False]
    organization.refresh_from_db()
    assert (organization.may_act, organization.suspension_reason) == (False, "Spam.")
    assert [entry.content["metadata"]["reason"] for entry in log_entries(event="organization.suspended")] == ["Spam."]


def test_only_a_suspension_can_be_lifted_and_only_once(developer: Developer) -> None:
    organization = developer.organization
    assert not reactivate(developer)
    suspend(developer)
    assert [reactivate(developer), reactivate(developer)] == [True, False]
    organization.refresh_from_db()
    assert (organization.may_act, organization.suspension_reason) == (True, "")
    assert log_entries(event="organization.reactivated").count() == 1


def test_a_verification_can_be_withdrawn(developer: Developer) -> None:
    for is_verified in (True, False):
        assert [verify(developer, is_verified=is_verified) for _ in range(2)] == [True, False]
        developer.organization.refresh_from_db()
        assert developer.organization.is_verified is is_verified
    logged = log_entries(event="organization.verified").order_by("id")
    assert [entry.content["metadata"]["verified"] for entry in logged] == [True, False]


CHANGES: dict[str, Callable[[Developer], object]] = {
    "organization.suspended": suspend,
    "organization.verified": verify,
    "api_key.rotated": rotate,
}


@cases("event", CHANGES)
def test_a_change_is_in_the_organizations_log_with_its_actor(developer: Developer, event: str) -> None:
    CHANGES[event](developer)
    entry = log_entries().get(event=event)
    actor = as_developer(ANONYMOUS, developer) if event == "api_key.rotated" else ADMINISTRATOR
    assert entry.content["actor"] == {"kind": actor.kind, "id": actor.id}
    assert entry.organization_ids == [developer.organization_id]


@pytest.mark.parametrize("act", [*CHANGES.values(), reactivate])
def test_a_change_that_cannot_be_logged_does_not_happen(
    developer: Developer, act: Callable[[Developer], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if act is reactivate:
        suspend(developer)
    before = contents()
    monkeypatch.setattr(services, "record", fail)
    with pytest.raises(ZeroDivisionError):
        act(developer)
    assert contents() == before


def test_a_developer_who_cannot_be_logged_is_not_created(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user("dev@example.com")
    monkeypatch.setattr(services, "record", fail)
    with pytest.raises(ZeroDivisionError):
        become_developer(actor=ANONYMOUS, user=user, name="Acme")
    assert contents() == [[], [], []]


def contents() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Organization, Developer, ApiKey)]


def fail(*args: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_becoming_a_developer_several_times_at_once_creates_one_organization() -> None:
    for number in range(3):
        become = partial(become_developer, actor=ANONYMOUS, user=make_user(f"{number}@example.com"), name="Acme")
        outcomes = race([become] * 4)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["EmailTaken"] * 3 + ["RegisteredDeveloper"]
        assert Organization.objects.count() == ApiKey.objects.count() == number + 1


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_at_once_one_key_works(developer: Developer) -> None:
    for _ in range(3):
        keys = race([partial(rotate, developer)] * 4)
        assert sum(works(key) for key in keys) == 1
        assert ApiKey.objects.filter(expires_at=None).count() == 1
    assert log_entries(event="api_key.rotated").count() == 12


@pytest.mark.django_db(transaction=True)
def test_of_several_suspensions_at_once_one_is_logged(developer: Developer) -> None:
    for number in range(1, 4):
        assert sorted(race([partial(suspend, developer)] * 4)) == [False, False, False, True]
        assert log_entries(event="organization.suspended").count() == number
        reactivate(developer)
