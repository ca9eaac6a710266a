"""Decisions that use approvals, beside what their user, the sweeps and an erasure do to the same rows."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from accounts import erasure
from accounts.erasure import erase_user
from approvals.errors import ApprovalAlreadyDecided
from approvals.models import Approval
from approvals.services import approve_approval, deny_approval, deny_held, revoke_approval
from approvals.tasks import mail_approvals, sweep_approvals
from core import clock
from decisions.requests import Decision, VerifyRequest
from tests.decisions.drivers import asking, bound, decide_on_django
from tests.threads import race
from tests.world import Grant, as_user, make_grant

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=["email:read", "email:send"])
    bound(grant, modes={"email:send": "ask"})
    return grant


def send(grant: Grant, text: str = "Hello") -> VerifyRequest:
    context = {"verb": "send", "recipient": "bob@acme.com", "text": text}
    return asking(grant.access_token, "email:send", context=context)


def verify(grant: Grant, text: str = "Hello") -> Decision:
    (decision,) = decide_on_django(send(grant, text))
    return decision


def asked(grant: Grant, text: str = "Hello") -> Approval:
    return Approval.objects.get(pk=verify(grant, text).approval_id)


def approve(grant: Grant, approval: Approval, **more: Any) -> Approval:
    user = grant.user
    return approve_approval(actor=as_user(user), approval=approval, user=user, signed_in_at=clock.now(), **more)


def repeat(number: int, act: Callable[[], Any]) -> list[Any]:
    return [act() for _ in range(number)]


def test_an_approved_request_is_allowed_once_and_a_denied_one_never(grant: Grant) -> None:
    once, denied = asked(grant, "once"), asked(grant, "denied")
    approve(grant, once)
    deny_approval(actor=as_user(grant.user), approval=denied, user=grant.user)
    assert [verify(grant, text).allowed for text in ("once", "denied", "once")] == [True, False, False]
    with pytest.raises(ApprovalAlreadyDecided, match="approved and used"):
        approve(grant, once)


def test_an_approval_given_while_it_is_used_by_many_allows_one(grant: Grant) -> None:
    once = asked(grant)
    verifies = [partial(repeat, 5, partial(verify, grant))] * 4
    *decided, _ = race([*verifies, partial(approve, grant, once)])
    allowed = sum(decision.allowed for each in decided for decision in each)
    assert allowed + verify(grant).allowed == 1


def test_no_verify_that_starts_after_a_revocation_uses_the_approval(grant: Grant) -> None:
    standing = asked(grant)
    approve(grant, standing, for_target=True, expires_in_seconds=DAY)
    assert verify(grant, "another text").allowed

    def revoke_and_verify() -> list[bool]:
        revoke_approval(actor=as_user(grant.user), approval=standing, user=grant.user)
        return [verify(grant).allowed, verify(grant, "a third text").allowed]

    verifies = [partial(repeat, 10, partial(verify, grant))] * 3
    assert race([*verifies, revoke_and_verify])[-1] == [False, False]


def test_a_denial_with_a_pause_ends_what_other_approvals_allow(grant: Grant) -> None:
    once, denied = asked(grant, "once"), asked(grant, "denied")
    approve(grant, once)

    def pause_and_verify() -> Any:
        deny_approval(actor=as_user(grant.user), approval=denied, user=grant.user, pause_agent=True)
        return verify(grant, "once").reason

    verifies = [partial(repeat, 10, partial(verify, grant, "once"))] * 3
    *decided, reason = race([*verifies, pause_and_verify])
    assert sum(decision.allowed for each in decided for decision in each) <= 1
    assert reason == "consent_paused"


def test_no_act_deadlocks_with_decisions_that_use_approvals(grant: Grant) -> None:
    """A row that a decision may use is locked by no transaction that waits for the decisions."""
    actor, user = as_user(grant.user), grant.user
    texts = [str(number) for number in range(12)]
    for text in texts:
        approve(grant, asked(grant, text))
    others = [asked(grant, f"other {number}") for number in range(6)]
    approve(grant, others[0], for_target=True, expires_in_seconds=2)
    Approval.objects.filter(pk__in=[each.pk for each in others[4:]]).update(is_held=True)

    def verify_all() -> int:
        return sum(decision.allowed for decision in decide_on_django(*(send(grant, text) for text in texts)))

    def decide_others() -> None:
        deny_approval(actor=actor, approval=others[1], user=user, pause_agent=True)
        revoke_approval(actor=actor, approval=others[0], user=user)
        deny_held(actor=actor, user=user, agent_id=grant.agent.id)
        erase_user(actor=actor, user=user)

    def sweep_repeatedly() -> None:
        for _ in range(10):
            sweep_approvals()
            mail_approvals()

    race([verify_all, partial(repeat, 5, verify_all), decide_others, sweep_repeatedly, sweep_repeatedly])
    assert not Approval.objects.exists()


def test_an_erasure_waits_for_a_decision_that_uses_an_approval(
    grant: Grant, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """The decision begins after the erasure has changed all other rows. It must not wait for the erasure."""
    approve(grant, asked(grant))
    is_erasing, delete_rows = threading.Event(), erasure._delete_rows

    def linger(*rows: Any) -> None:
        is_erasing.set()
        time.sleep(0.5)
        delete_rows(*rows)

    def verify_meanwhile() -> bool:
        is_erasing.wait(10)
        return verify(grant).allowed

    monkeypatch.setattr(erasure, "_delete_rows", linger)
    allowed, _ = race([verify_meanwhile, partial(erase_user, actor=as_user(grant.user), user=grant.user)])
    assert allowed is (store == "postgresql")  # SQLite's only writer is the erasure
    assert not Approval.objects.exists()


def test_the_sweep_takes_no_approval_from_a_decision_in_progress(grant: Grant) -> None:
    once = asked(grant)
    approve(grant, once)
    end = clock.now() + timedelta(milliseconds=50)
    Approval.objects.filter(pk=once.pk).update(expires_at=end)

    def verify_until_the_end() -> list[bool]:
        allowed = []
        while clock.now() < end + timedelta(milliseconds=20):
            allowed.append(verify(grant).allowed)
        return allowed

    allowed, _ = race([verify_until_the_end, partial(repeat, 20, sweep_approvals)])
    assert Approval.objects.get(pk=once.pk).status == ("used" if any(allowed) else "approved")
