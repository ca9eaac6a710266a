"""Rules that users accept from their own answers: what verify allows then, and that undoing leaves what was before."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from approvals.errors import SuggestionChanged
from approvals.history import offers, read_history, standing_for_user
from approvals.models import Approval
from approvals.services import approve_approval, deny_approval, revoke_approval
from approvals.standing_rules import accept_suggestion
from approvals.suggestions import SuggestedRule
from consent.models import Consent
from consent.services import revoke_consent
from core import clock
from core.money import Amount
from decisions.requests import Decision, VerifyRequest
from tests.decisions.drivers import Decide, allowed, asking, bound, decide_on_django, event_loop, forget, limit
from tests.threads import race
from tests.world import Grant, as_user, make_grant

pytestmark = pytest.mark.django_db

SHOP = {"verb": "pay", "recipient": "shop.example", "text": "Order"}


@pytest.fixture
def grant() -> Grant:
    return make_asking_grant()


def make_asking_grant() -> Grant:
    """Return a grant whose user approves each mail."""
    grant = make_grant(scopes=["email:read", "email:send"])
    bound(grant, modes={"email:send": "ask"})
    return grant


def pay(grant: Grant, value: str, **context: Any) -> VerifyRequest:
    amount = {"value": value, "currency": "EUR"}
    return asking(grant.access_token, "email:send", context={**SHOP, "amount": amount, **context})


def answer(grant: Grant, value: str, *, approves: bool = True, **context: Any) -> Approval:
    """Let the agent ask and the user answer."""
    (decision,) = decide_on_django(pay(grant, value, **context))
    asked = Approval.objects.get(pk=decision.approval_id)
    if approves:
        approve_approval(actor=as_user(grant.user), approval=asked, user=grant.user, signed_in_at=clock.now())
    else:
        deny_approval(actor=as_user(grant.user), approval=asked, user=grant.user)
    return asked


def taught(grant: Grant) -> Approval:
    """Let the user approve 4 to 20 euros at the shop, and refuse 30. Return the last approved request."""
    answer(grant, "30", approves=False)
    approved = [answer(grant, value, text=value) for value in ("4", "8.00", "12.50", "19.90", "20")]
    Approval.objects.filter(status="approved").update(status="used", used_at=clock.now())
    return approved[-1]


def offered(grant: Grant) -> list[SuggestedRule]:
    now = clock.now()
    history, standing = read_history(grant.user, now), standing_for_user(grant.user, now)
    return [offer.suggestion for offer in offers(grant.user, history, standing, now)]


def accept(grant: Grant, example: Approval, value: str | None = "20", per_day: int = 5) -> Approval:
    ceiling = Amount(value, "EUR") if value else None
    actor, user = as_user(grant.user), grant.user
    return accept_suggestion(actor=actor, example=example, user=user, ceiling=ceiling, per_day=per_day)


def undo(grant: Grant, rule: Approval) -> Approval:
    return revoke_approval(actor=as_user(grant.user), approval=rule, user=grant.user)


@pytest.mark.postgresql
def test_verify_allows_below_the_ceiling_and_asks_for_all_else(decide: Decide, grant: Grant) -> None:
    accept(grant, taught(grant))
    requests = {
        "below": pay(grant, "19.99", text="never seen"),
        "at": pay(grant, "20.00", text="never seen either"),
        "above": pay(grant, "20.01"),
        "elsewhere": pay(grant, "1", recipient="other.example"),
        "otherwise": pay(grant, "1", verb="refund"),
        "another currency": pay(grant, "1", amount={"value": "1", "currency": "USD"}),
        "no amount": asking(grant.access_token, "email:send", context=SHOP),
        "unreadable": pay(grant, "1", amount={"value": "-1", "currency": "EUR"}),
        "another account": pay(grant, "1", account="EVIL"),
        "an amount that is multiplied": pay(grant, "1", amount={"value": "1", "currency": "EUR", "multiplier": 1000}),
        "another resource": asking(grant.access_token, "email:send", resource="x", context=pay(grant, "1").context),
    }
    decided = dict(zip(requests, decide(*requests.values()), strict=True))
    assert {name for name, each in decided.items() if each.allowed} == {"below", "at"}
    assert {each.reason for each in decided.values() if not each.allowed} == {"approval_required"}


def test_a_rule_fixes_every_field_of_its_evidence(decide: Decide, grant: Grant) -> None:
    """And answers about another account are no evidence for it."""
    for number in range(5):
        answer(grant, "20", account="DE1", text=str(number))
    for number in range(4):
        answer(grant, "90", account="DE2", text=str(number))
    Approval.objects.filter(status="approved").update(status="used", used_at=clock.now())
    (suggestion,) = offered(grant)
    assert suggestion.ceiling == Amount("20", "EUR")
    example = Approval.objects.get(pk=suggestion.example.id)
    rule = accept(grant, example)
    amount = {"value": "20", "currency": "EUR"}
    assert rule.context == {"verb": "pay", "recipient": "shop.example", "account": "DE1", "amount": amount}
    same, other, copied = decide(
        pay(grant, "20", account="DE1"), pay(grant, "1", account="DE2"), pay(grant, "1", account="DE1", cc="eve")
    )
    assert allowed([same, other, copied]) == [True, False, False]


def test_what_was_refused_stays_refused(decide: Decide, grant: Grant) -> None:
    """A denial of exactly this content holds beside the rule."""
    example = taught(grant)
    accept(grant, example)
    assert allowed(decide(pay(grant, "30"))) == [False]


def test_undoing_restores_what_was_before(decide: Decide, grant: Grant) -> None:
    example = taught(grant)
    before, suggestions = list(Approval.objects.order_by("pk").values()), offered(grant)
    rule = accept(grant, example)
    assert offered(grant) == []
    assert allowed(decide(pay(grant, "5", text="new"))) == [True]

    undo(grant, rule)
    assert allowed(decide(pay(grant, "6", text="newer"))) == [False]
    Approval.objects.filter(status="pending").delete()
    assert list(Approval.objects.exclude(pk=rule.pk).order_by("pk").values()) == before
    assert offered(grant) == suggestions
    assert standing_for_user(grant.user, clock.now()) == []


def test_a_narrower_rule_that_was_there_before_remains(decide: Decide, grant: Grant) -> None:
    first = accept(grant, taught(grant))
    wider = accept(grant, answer(grant, "25"), "25", 6)
    assert allowed(decide(pay(grant, "24", text="a"))) == [True]
    undo(grant, wider)
    assert allowed(decide(pay(grant, "24", text="b"), pay(grant, "20", text="c"))) == [False, True]
    assert [each.id for each in standing_for_user(grant.user, clock.now())] == [first.id]


def test_it_ends_with_the_connection(decide: Decide, grant: Grant) -> None:
    rule = accept(grant, taught(grant))
    assert rule.expires_at == Consent.objects.get(pk=grant.consent.pk).expires_at
    revoke_consent(actor=as_user(grant.user), consent=grant.consent)
    assert allowed(decide(pay(grant, "5"))) == [False]
    assert standing_for_user(grant.user, clock.now()) == []


def test_a_guard_still_asks(grant: Grant) -> None:
    """The rule covers what a scope asks, and nothing that a guard against data flows asks."""
    example = taught(grant)
    rule = accept(grant, example)
    assert (rule.asked_scopes, rule.asked_by_rule) == (["email:send"], "")


def test_it_allows_nothing_once_the_scope_is_critical(decide: Decide, grant: Grant) -> None:
    accept(grant, taught(grant))
    bound(grant, modes={"email:send": "ask"}, critical=["email:send"])
    assert allowed(decide(pay(grant, "5", text="new"))) == [False]


class TestNumberPerDay:
    """The user approved five requests within a day, so a rule allows five."""

    @pytest.mark.postgresql
    def test_beyond_it_the_agent_asks_again(self, decide: Decide, grant: Grant) -> None:
        rule = accept(grant, taught(grant))
        assert (rule.times_per_day, rule.evidence) == (5, {"perDay": 5, "answered": 5, "questions": 6})
        for number in range(5):
            assert decide(pay(grant, "20", text=f"n{number}"))[0].approval_id == rule.id
        (asked,) = decide(pay(grant, "1", text="sixth"))
        assert (asked.allowed, asked.reason) == (False, "approval_required")
        waiting = Approval.objects.get(pk=asked.approval_id)
        approve_approval(actor=as_user(grant.user), approval=waiting, user=grant.user, signed_in_at=clock.now())
        assert allowed(decide(pay(grant, "1", text="sixth"), pay(grant, "1", text="seventh"))) == [True, False]

    def test_one_batch_counts_each_request(self, decide: Decide, grant: Grant) -> None:
        accept(grant, taught(grant))
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(8)))) == [True] * 5 + [False] * 3

    def test_after_24_hours_it_allows_again(self, decide: Decide, grant: Grant) -> None:
        """The window ends now, because the token does not live that long."""
        accept(grant, taught(grant))
        start = clock.now() - timedelta(hours=24.4)
        with time_machine.travel(start, tick=False):
            assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(5)))) == [True] * 5
        for hours, reason in ((1, "approval_required"), (23.99, "approval_required"), (24.4, None)):
            with time_machine.travel(start + timedelta(hours=hours), tick=False):
                assert decide(pay(grant, "1", text=f"after {hours}"))[0].reason == reason

    def test_denied_requests_do_not_count(self, decide: Decide, grant: Grant) -> None:
        accept(grant, taught(grant))
        limited = limit(grant, 3)
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(5)))) == [True] * 3 + [False] * 2
        assert allowed(decide(pay(grant, "30"), pay(grant, "21"))) == [False, False]
        limited.delete()
        forget()
        assert allowed(decide(*(pay(grant, "1", text=f"m{n}") for n in range(3)))) == [True, True, False]

    def test_accepting_again_after_undoing_starts_no_new_count(self, decide: Decide, grant: Grant) -> None:
        example = taught(grant)
        rule = accept(grant, example)
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(5)))) == [True] * 5
        undo(grant, rule)
        accept(grant, example)
        assert allowed(decide(pay(grant, "1", text="again"))) == [False]

    def test_a_wider_rule_shares_the_count(self, decide: Decide, grant: Grant) -> None:
        accept(grant, taught(grant))
        accept(grant, answer(grant, "25"), "25", 6)
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(8)))) == [True] * 6 + [False] * 2

    def test_other_targets_have_their_own(self, decide: Decide, grant: Grant) -> None:
        accept(grant, taught(grant))
        elsewhere = [answer(grant, "1", recipient="other.example", text=f"{n}") for n in range(5)]
        accept(grant, elsewhere[-1], "1")
        Approval.objects.filter(status="approved", is_standing=False).delete()
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(6)))) == [True] * 5 + [False]
        others = [pay(grant, "1", text=f"n{n}", recipient="other.example") for n in range(6)]
        assert allowed(decide(*others)) == [True] * 5 + [False]

    def test_an_approval_for_a_time_is_not_counted(self, decide: Decide, grant: Grant) -> None:
        rule = accept(grant, taught(grant))
        Approval.objects.filter(pk=rule.pk).update(evidence=None)
        assert allowed(decide(*(pay(grant, "1", text=f"n{n}") for n in range(8)))) == [True] * 8

    def test_a_rule_without_a_number_allows_one(self, decide: Decide, grant: Grant) -> None:
        rule = accept(grant, taught(grant))
        Approval.objects.filter(pk=rule.pk).update(evidence={"answered": 5, "questions": 6})
        assert allowed(decide(pay(grant, "1", text="a"), pay(grant, "1", text="b"))) == [True, False]

    @pytest.mark.django_db(transaction=True)
    def test_exactly_that_many_of_64_in_parallel(self, grant: Grant) -> None:
        """On several stores and threads, each with a connection of its own."""
        accept(grant, taught(grant))
        requests = [pay(grant, "20", text=f"n{n}") for n in range(64)]

        def on_django(number: int) -> list[bool]:
            return [each.allowed for n in range(number, 32, 4) for each in decide_on_django(requests[n])]

        def on_event_loop(number: int) -> list[bool]:
            with event_loop() as loop:
                return [loop.decide(request)[0].allowed for request in requests[number::4] if request in requests[32:]]

        outcomes = race([partial(act, number) for act in (on_django, on_event_loop) for number in range(4)])
        decided = [each for outcome in outcomes for each in outcome]
        assert (len(decided), sum(decided)) == (64, 5)
        assert allowed(decide_on_django(pay(grant, "1", text="later"))) == [False]


class TestRaces:
    @pytest.mark.django_db(transaction=True)
    def test_two_clicks_make_one_rule(self, grant: Grant) -> None:
        example = taught(grant)
        rules = race([partial(accept, grant, example)] * 4)
        assert len({rule.pk for rule in rules}) == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_refusal_beside_the_click(self, grant: Grant) -> None:
        """One comes first: then either nothing follows any longer, or the rule was made before the refusal."""
        example = taught(grant)
        (decision,) = decide_on_django(pay(grant, "18", text="waits"))
        waiting = Approval.objects.get(pk=decision.approval_id)
        deny = partial(deny_approval, actor=as_user(grant.user), approval=waiting, user=grant.user)
        accepted, denied = race([partial(accept, grant, example), deny])
        assert denied.status == "denied"
        if isinstance(accepted, SuggestionChanged):
            assert not Approval.objects.filter(evidence__isnull=False).exists()
        else:
            assert accepted.decided_at <= denied.decided_at
        assert allowed(decide_on_django(pay(grant, "18", text="waits"))) == [False]

    @pytest.mark.django_db(transaction=True)
    def test_no_verify_that_starts_after_an_undo_uses_the_rule(
        self, grant: Grant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        example = taught(grant)
        monkeypatch.setattr("approvals.suggestions.most_per_day", lambda times: 1000)

        def verify(text: str) -> Decision:
            (decision,) = decide_on_django(pay(grant, "3", text=text))
            return decision

        def toggle() -> list[bool]:
            answers = []
            for number in range(4):
                rule = accept(grant, example, per_day=1000)
                answers.append(verify(f"on {number}").allowed)
                undo(grant, rule)
                answers.append(verify(f"off {number}").allowed)
            return answers

        def verify_often(name: int) -> list[Decision]:
            return [verify(f"{name}") for _ in range(10)]

        *_, toggled = race([*(partial(verify_often, name) for name in range(3)), toggle])
        assert toggled == [True, False] * 4
