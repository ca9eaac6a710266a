"""Approvals in services: races of decisions and sweeps, and what the sweeps and an erasure leave."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.erasure import erase_user
from accounts.models import User
from accounts.passwords import reset_password
from approvals.errors import ApprovalAlreadyDecided, ApprovalExpired
from approvals.models import Approval
from approvals.services import (
    approve_approval,
    deny_approval,
    deny_held,
    expire_pending,
    expire_unused,
    revoke_approval,
)
from approvals.tasks import sweep_approvals
from audit.events import Event
from consent.models import Consent
from core import clock
from core.errors import DomainError, NotAuthenticated, NotFound
from tests.approvals import Asks, make_approval
from tests.log import log_entries
from tests.threads import race
from tests.world import allow, as_user, ask, make_agent, make_developer, make_user

pytestmark = pytest.mark.django_db

DAY = 86_400


def approve(approval: Approval, user: User, **more: Any) -> Approval:
    return approve_approval(actor=as_user(user), approval=approval, user=user, signed_in_at=clock.now(), **more)


def deny(approval: Approval, user: User) -> Approval:
    return deny_approval(actor=as_user(user), approval=approval, user=user)


def events(approval: Approval) -> list[str]:
    """Return the logged events of the approval, with verify's own left out."""
    entries = [entry.content for entry in log_entries()]
    return sorted(each["event"] for each in entries if each["metadata"].get("approvalId") == approval.id)


def status_of(approval: Approval) -> str:
    return str(Approval.objects.get(pk=approval.pk).status)


class TestRaces:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("acts", [(approve, deny), (deny, deny), (approve, approve)])
    def test_one_of_two_decisions_counts(self, ada: User, asks: Asks, acts: Any) -> None:
        for _ in range(2):
            asked = asks()
            outcomes = race([partial(act, asked, ada) for act in acts])
            refused = [each for each in outcomes if isinstance(each, DomainError)]
            (done,) = [each for each in outcomes if isinstance(each, Approval)]
            assert [type(each) for each in refused] == [ApprovalAlreadyDecided]
            assert done.status == status_of(asked)
            assert done.status in str(refused[0])
            assert events(asked) == [f"approval.{done.status}"]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("act", [approve, deny])
    def test_a_decision_or_the_sweep_counts(self, ada: User, asks: Asks, act: Any) -> None:
        for _ in range(4):
            asked = asks(expires_at=clock.now() + timedelta(milliseconds=30))

            def sweep_repeatedly(asked: Approval = asked) -> int:
                while clock.now() < asked.expires_at:
                    pass
                return expire_pending()

            def decide_at_the_end(asked: Approval = asked) -> Approval:
                while clock.now() < asked.expires_at - timedelta(milliseconds=2):
                    pass
                return Approval(status=act(asked, ada).status)

            swept, decided = race([sweep_repeatedly, decide_at_the_end])
            if isinstance(decided, ApprovalExpired):
                assert (swept + expire_pending(), status_of(asked), events(asked)) == (
                    1,
                    "expired",
                    ["approval.expired"],
                )
            else:
                assert (swept, status_of(asked)) == (0, decided.status)
                assert events(asked) == [f"approval.{decided.status}"]
            Approval.objects.all().delete()

    @pytest.mark.django_db(transaction=True)
    def test_many_decisions_beside_sweeps_do_not_deadlock(self, ada: User, asks: Asks) -> None:
        waiting = [asks(is_held=number % 2 == 0) for number in range(24)]

        def decide(act: Any) -> list[str]:
            outcomes = []
            for asked in waiting:
                try:
                    outcomes.append(act(asked, ada).status)
                except ApprovalAlreadyDecided:
                    outcomes.append("")
            return outcomes

        def sweep_repeatedly() -> None:
            for _ in range(10):
                sweep_approvals()

        held = partial(deny_held, actor=as_user(ada), user=ada, agent_id=waiting[0].agent_id)
        approved, denied, number, _ = race([partial(decide, approve), partial(decide, deny), held, sweep_repeatedly])
        done = [status for status in approved + denied if status]
        assert len(done) + number == len(waiting)
        assert [len(events(asked)) for asked in waiting] == [1] * len(waiting)

    def test_a_request_signed_in_before_a_password_reset_approves_nothing(self, ada: User, asks: Asks) -> None:
        asked, before = asks(), User.objects.get(pk=ada.pk)
        reset_password(actor=as_user(ada), user=ada, password="another-secret-password")
        for act in (approve, deny):
            with pytest.raises(NotAuthenticated):
                act(asked, before)
        assert status_of(asked) == "pending"

    @pytest.mark.django_db(transaction=True)
    def test_an_erasure_beside_decisions_leaves_no_approval(self, ada: User, asks: Asks) -> None:
        waiting = [asks() for _ in range(4)]
        once, standing = asks(), asks()
        approve(once, ada)
        approve(standing, ada, for_target=True, expires_in_seconds=DAY)
        acts = [partial(approve, asked, ada) for asked in waiting[:2]]
        acts += [partial(revoke_approval, actor=as_user(ada), approval=standing, user=ada), sweep_approvals]
        race([*acts, partial(erase_user, actor=as_user(ada), user=ada)])
        assert not Approval.objects.exists()
        assert [events(asked) for asked in waiting[2:]] == [["approval.denied"]] * 2
        assert all(len(events(asked)) == 1 for asked in waiting[:2])


class TestSweeps:
    def test_what_was_not_decided_expires_as_a_denial(self, ada: User, asks: Asks) -> None:
        due, waiting = asks(expires_at=clock.now(), resource="https://x.example"), asks()
        assert sweep_approvals() == 1
        assert sweep_approvals() == 0
        assert (status_of(due), status_of(waiting)) == ("expired", "pending")
        (entry,) = [each for each in log_entries() if each.content["event"] == Event.APPROVAL_EXPIRED]
        content = entry.content
        assert (content["outcome"], content["userId"], content["actor"]["kind"]) == ("denied", ada.id, "system")
        assert content["organizationId"] == due.organization_id

    def test_unused_approvals_expire_once_no_decision_can_use_them(self, ada: User, asks: Asks) -> None:
        once, standing = asks(), asks()
        ends = [approve(once, ada).expires_at]
        ends.append(approve(standing, ada, for_target=True, expires_in_seconds=3600).expires_at)
        with time_machine.travel(max(ends), tick=False):
            assert Approval.objects.get(pk=once.pk).status_at(clock.now()) == "expired"
            assert expire_unused() == 0
        with time_machine.travel(max(ends) + timedelta(minutes=1), tick=False):
            assert expire_unused() == 2
        assert (status_of(once), status_of(standing)) == ("expired", "expired")
        assert events(once) == ["approval.approved", "approval.expired"]

    def test_ended_ones_are_deleted_after_30_days(self, ada: User, asks: Asks) -> None:
        ago = clock.now() - timedelta(days=30)
        for status in ("denied", "expired", "used"):
            asks(status=status, expires_at=ago)
            asks(status=status, expires_at=ago + timedelta(minutes=1))
        asks()
        assert sweep_approvals() == 3
        assert Approval.objects.count() == 4


class TestHeldOnes:
    def test_are_denied_together(self, ada: User, asks: Asks) -> None:
        held = [asks(is_held=True) for _ in range(3)]
        shown, lapsed = asks(), asks(is_held=True, expires_at=clock.now())
        assert deny_held(actor=as_user(ada), user=ada, agent_id=shown.agent_id) == 3
        assert [status_of(each) for each in (*held, shown, lapsed)] == ["denied"] * 3 + ["pending"] * 2
        assert [events(each) for each in held] == [["approval.denied"]] * 3

    def test_only_those_of_the_agent_and_the_user(self, ada: User, asks: Asks, granted: Consent) -> None:
        bob = make_user("bob@example.com")
        other = allow(ask(make_agent(make_developer("other@example.com"))), ada)
        foreign = allow(ask(granted.agent), bob)
        left = [make_approval(other, is_held=True), make_approval(foreign, is_held=True)]
        assert deny_held(actor=as_user(ada), user=ada, agent_id=granted.agent_id) == 0
        assert [status_of(each) for each in left] == ["pending"] * 2


class TestErasure:
    def test_denies_what_waits_and_deletes_all(self, ada: User, asks: Asks, granted: Consent) -> None:
        bob = make_user("bob@example.com")
        foreign = make_approval(allow(ask(granted.agent), bob))
        waiting, used = asks(resource="https://mail.example/ada"), asks(status="used")
        erase_user(actor=as_user(ada), user=ada)
        assert list(Approval.objects.all()) == [foreign]
        (entry,) = [each for each in log_entries() if each.content["event"] == Event.APPROVAL_DENIED]
        assert entry.content["metadata"] == {"approvalId": waiting.id, "reason": "account_erased"}
        assert events(used) == []
        with pytest.raises((NotFound, NotAuthenticated)):
            approve(waiting, ada)
