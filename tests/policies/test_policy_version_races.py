"""The triggers lock the organization of a changed policy. No two writers may lock the two in opposite orders."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.actor import Actor
from core.errors import Conflict, DomainError, NotFound
from developers.acting import as_developer
from developers.errors import OrganizationSuspended
from developers.models import Developer
from developers.services import reactivate_organization, suspend_organization
from policies import services
from policies.models import Policy
from policies.services import create_policy, delete_policy, update_policy
from tests.log import log_entries
from tests.threads import race
from tests.world import ANONYMOUS, make_agent

ADMINISTRATOR = Actor("administrator", id="usr_admin")
ROUNDS = 10

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def policy(developer: Developer) -> Policy:
    return create_policy(actor=ADMINISTRATOR, organization=developer.organization, name="First", rules=[])


def rename(actor: Actor, policy: Policy, name: str = "Renamed") -> Policy:
    return update_policy(actor=actor, policy=policy, changes={"name": name})


def test_an_administrator_locks_the_organization_before_the_policy(
    developer: Developer, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locked, plan = threading.Event(), services.plan_edit

    def linger(*args: Any) -> Any:
        is_locked.set()
        time.sleep(0.2)
        return plan(*args)

    def rename_meanwhile() -> Policy:
        assert is_locked.wait(10)
        return rename(as_developer(ANONYMOUS, developer), policy, "Second")

    monkeypatch.setattr(services, "plan_edit", linger)
    race([partial(rename, ADMINISTRATOR, policy, "First"), rename_meanwhile])
    policy.refresh_from_db()
    assert (policy.name, policy.version) == ("Second", 3)


def test_of_two_changes_to_the_same_version_one_is_refused(developer: Developer, policy: Policy) -> None:
    def save(name: str) -> Policy:
        return update_policy(actor=ADMINISTRATOR, policy=policy, changes={"name": name}, based_on=policy.version)

    outcomes = race([partial(save, "First"), partial(save, "Second")])
    assert sorted(map(type, outcomes), key=str) == [Conflict, Policy]
    (saved,) = (one for one in outcomes if isinstance(one, Policy))
    policy.refresh_from_db()
    assert (policy.name, policy.version) == (saved.name, 2)


def test_of_two_deletions_one_finds_no_policy(policy: Policy) -> None:
    delete = partial(delete_policy, actor=ADMINISTRATOR, policy=policy)
    assert sorted(map(type, race([delete, delete])), key=str) == [type(None), NotFound]
    assert log_entries(event="policy.deleted").count() == 1


def test_a_deleted_policy_cannot_be_edited(policy: Policy) -> None:
    Policy.objects.all().delete()
    with pytest.raises(NotFound):
        rename(ADMINISTRATOR, policy)


def test_writers_of_all_kinds_do_not_deadlock(developer: Developer, policy: Policy) -> None:
    actor, organization, agent = as_developer(ANONYMOUS, developer), developer.organization, make_agent(developer)

    def suspend_and_reactivate() -> None:
        suspend_organization(actor=ADMINISTRATOR, organization=organization, reason="Fraud.")
        reactivate_organization(actor=ADMINISTRATOR, organization=organization, reason="Cleared.")

    def add(by: Actor) -> Policy:
        return create_policy(actor=by, organization=organization, name="New", rules=[], agent=agent)

    for _ in range(ROUNDS):
        doomed = create_policy(actor=ADMINISTRATOR, organization=organization, name="Doomed", rules=[])
        acts: list[Callable[[], Any]] = [
            partial(add, actor),
            partial(add, ADMINISTRATOR),
            partial(rename, actor, doomed),
            partial(delete_policy, actor=ADMINISTRATOR, policy=doomed),
            suspend_and_reactivate,
        ]
        refused = [outcome for outcome in race(acts) if isinstance(outcome, DomainError)]
        assert {type(error) for error in refused} <= {NotFound, OrganizationSuspended}
