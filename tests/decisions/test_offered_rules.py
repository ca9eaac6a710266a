"""Rules that a user is offered after some answers, and accepts."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from approvals.errors import ConnectionInactive, SuggestionChanged
from approvals.models import Approval
from approvals.standing_rules import accept_suggestion, find_suggestion
from audit.events import Event
from consent.models import Consent
from core import clock
from core.errors import NotFound
from core.money import Amount
from tests.decisions.test_learned_rules import accept, answer, make_asking_grant, offered, pay, taught, undo
from tests.log import log_entries
from tests.shared import rows_of_module
from tests.world import Grant, as_user, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def shared(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Grant, Approval]]:
    with rows_of_module(django_db_blocker):
        grant = make_asking_grant()
        yield grant, taught(grant)


@pytest.fixture
def grant(shared: tuple[Grant, Approval], db: None) -> Grant:
    return deepcopy(shared[0])


@pytest.fixture
def example(shared: tuple[Grant, Approval], db: None) -> Approval:
    """Return the last request of the grant's agent that its user approved."""
    return deepcopy(shared[1])


class TestOffers:
    def test_one_with_its_evidence(self, grant: Grant, example: Approval) -> None:
        (suggestion,) = offered(grant)
        assert (suggestion.example.id, suggestion.ceiling, suggestion.answered) == (example.id, Amount("20", "EUR"), 5)
        assert len(suggestion.questions) == 6

    def test_none_without_enough_evidence(self, grant: Grant) -> None:
        Approval.objects.all().delete()
        for value in ("1", "2", "3", "4"):
            answer(grant, value)
        assert offered(grant) == []

    def test_none_for_requests_without_a_target(self, grant: Grant) -> None:
        Approval.objects.all().delete()
        for number in range(6):
            answer(grant, "1", recipient="", text=str(number))
        assert offered(grant) == []

    def test_none_for_critical_scopes(self, grant: Grant, example: Approval) -> None:
        Approval.objects.update(is_critical=True)
        assert offered(grant) == []
        with pytest.raises(SuggestionChanged):
            accept(grant, example)

    def test_none_once_the_scope_is_critical(self, grant: Grant, example: Approval) -> None:
        shown = Consent.objects.get(pk=grant.consent.pk).shown_scopes
        Consent.objects.update(shown_scopes=[{**each, "riskLevel": "critical"} for each in shown])
        assert offered(grant) == []
        with pytest.raises(SuggestionChanged):
            accept(grant, example)

    def test_none_from_questions_of_a_guard(self, grant: Grant) -> None:
        Approval.objects.update(asked_by_rule="data_flow")
        assert offered(grant) == []

    def test_none_from_an_amount_that_cannot_be_read(self, grant: Grant) -> None:
        Approval.objects.all().delete()
        for number in range(6):
            answer(grant, "1", amount={"value": "1", "currency": "XXX"}, text=str(number))
        assert offered(grant) == []

    def test_a_refusal_under_an_earlier_connection_counts(self, grant: Grant) -> None:
        refused = Approval.objects.get(status="denied")
        Approval.objects.filter(pk=refused.pk).update(consent="cns_gone", target_digest="gone")
        Approval.objects.filter(pk=refused.pk).update(
            context={**refused.context, "amount": pay(grant, "20").context["amount"]}
        )
        assert offered(grant) == []

    def test_refusals_beyond_what_a_page_reads_count(self, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("approvals.history.MAX_QUESTIONS", 5)
        (suggestion,) = offered(grant)
        assert suggestion.ceiling == Amount("20", "EUR")
        Approval.objects.filter(status="denied").update(context=pay(grant, "10").context)
        assert offered(grant) == []

    def test_none_if_there_are_too_many_refusals(self, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
        Approval.objects.all().delete()
        for value in ("101", "102"):
            answer(grant, value, approves=False)
        for number in range(5):
            answer(grant, "1", text=str(number))
        monkeypatch.setattr("approvals.history.MAX_QUESTIONS", 5)
        assert len(offered(grant)) == 1
        answer(grant, "103", approves=False)
        monkeypatch.setattr("approvals.history.MAX_QUESTIONS", 1)
        assert offered(grant) == []


class TestAccepting:
    def test_twice_makes_one_rule(self, grant: Grant, example: Approval) -> None:
        assert accept(grant, example) == accept(grant, example)
        events = [each.content for each in log_entries() if each.content["metadata"].get("for") == "rule"]
        assert [(each["event"], each["outcome"]) for each in events] == [(Event.APPROVAL_APPROVED, "allowed")]

    def test_another_ceiling_than_follows_is_refused(self, grant: Grant, example: Approval) -> None:
        for value in ("21", "19.90", None):
            with pytest.raises(SuggestionChanged):
                accept(grant, example, value)
        for per_day in (4, 6):
            with pytest.raises(SuggestionChanged):
                accept(grant, example, per_day=per_day)
        answer(grant, "20", approves=False, text="no more")
        with pytest.raises(SuggestionChanged):
            accept(grant, example)
        assert not Approval.objects.filter(evidence__isnull=False).exists()

    def test_an_older_example_teaches_the_same(self, grant: Grant, example: Approval) -> None:
        answer(grant, "7", text="later")
        assert accept(grant, example, per_day=6).context["amount"] == {"value": "20", "currency": "EUR"}

    def test_a_refused_example_teaches_nothing(self, grant: Grant) -> None:
        refused = Approval.objects.get(status="denied")
        assert find_suggestion(grant.user, refused, clock.now()) is None
        with pytest.raises(SuggestionChanged):
            accept(grant, refused)

    def test_is_the_users_own(self, grant: Grant, example: Approval) -> None:
        bob = make_user("bob@example.com")
        with pytest.raises(NotFound):
            accept_suggestion(actor=as_user(bob), example=example, user=bob, ceiling=Amount("20", "EUR"), per_day=5)

    def test_needs_an_active_connection(self, grant: Grant, example: Approval) -> None:
        Consent.objects.update(paused_at=clock.now())
        with pytest.raises(ConnectionInactive):
            accept(grant, example)

    def test_a_rule_is_not_evidence(self, grant: Grant, example: Approval) -> None:
        rule = accept(grant, example)
        undo(grant, rule)
        (suggestion,) = offered(grant)
        assert len(suggestion.questions) == 6
