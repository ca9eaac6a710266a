"""Repeated requests with `reserve`, by both drivers and at the same time: one key makes one reservation."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import time_machine
from django.db import connection

from core import clock
from core.errors import DomainError, OutcomeUnknown
from core.idempotency import IdempotencyKeyReused
from decisions import batcher as batcher_module
from decisions import judgement
from decisions.batcher import Batcher
from decisions.conversation import COUNTER_SECONDS
from decisions.questions import Question
from decisions.requests import LEAST_EFFORT, Credential, Decision, Repeat, VerifyRequest
from decisions.services import decide as decide_in_thread
from decisions.stores.base import Store, StoreUnavailable
from decisions.stores.reading import ask_facts
from decisions.stores.statements import Statement
from limits.models import Reservation
from limits.reservations import ReservationExpired
from tests.decisions.drivers import Decide, EventLoop, allowed, caller_of, limit, questions, written_rows
from tests.decisions.test_reserving import budget, commit, paying, reserving
from tests.threads import race
from tests.world import Grant

pytestmark = pytest.mark.django_db

REPEAT = Repeat("a" * 64, "d" * 64)


def repeating(grant: Grant, value: str = "10", repeat: Repeat = REPEAT, **fields: Any) -> VerifyRequest:
    return reserving(grant, value, repeat=repeat, **fields)


def ids(decisions: list[Decision]) -> set[str | None]:
    return {decision.reservation_id for decision in decisions}


@pytest.mark.postgresql
def test_a_repeat_is_answered_without_counting_or_logging_again(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    (first,) = decide(repeating(grant))
    (again,) = decide(repeating(grant))
    assert first.allowed
    assert again == first
    assert (Reservation.objects.count(), len(written_rows())) == (1, 1)
    assert allowed(decide(paying(grant, "0.01"))) == [False]


@pytest.mark.postgresql
def test_the_same_request_twice_in_a_batch_reserves_once(decide: Decide, grant: Grant) -> None:
    """Requests of several callers share a batch."""
    budget(grant, "20")
    other = repeating(grant, "7", Repeat("b" * 64, "d" * 64))
    decisions = decide(repeating(grant), other, repeating(grant), repeating(grant))
    assert allowed(decisions) == [True] * 4
    assert decisions[0] == decisions[2] == decisions[3]
    assert len(ids(decisions)) == Reservation.objects.count() == 2
    assert [len(row) for row in written_rows()] == [2]
    assert allowed(decide(paying(grant, "3"), paying(grant, "0.01"))) == [True, False]


@pytest.mark.postgresql
def test_the_same_key_for_another_request_has_a_problem(decide: Decide, grant: Grant) -> None:
    other = repeating(grant, "11", Repeat(REPEAT.key, "e" * 64))
    for decisions in (decide(repeating(grant), other), decide(other)):
        assert not decisions[-1].allowed
        assert isinstance(decisions[-1].problem, IdempotencyKeyReused)
    assert Reservation.objects.count() == 1


def test_a_wrong_credential_finds_nothing(decide: Decide, grant: Grant) -> None:
    caller = caller_of(grant)
    assert allowed(decide(repeating(grant, credential=caller))) == [True]
    wrong = type(caller)(caller.server_id, "0" * 64)
    (refused,) = decide(repeating(grant, credential=wrong))
    assert (refused.allowed, refused.is_caller_refused, refused.reservation_id) == (False, True, None)


@pytest.mark.django_db(transaction=True)
def test_parallel_repeats_in_threads_make_one_reservation(grant: Grant) -> None:
    budget(grant, "25")
    decisions = race([lambda: decide_in_thread([repeating(grant)])[0]] * 12)
    assert allowed(decisions) == [True] * 12
    assert len(ids(decisions)) == Reservation.objects.count() == 1
    assert len(written_rows()) == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_repeats_in_event_loops_make_one_reservation_each(loop: EventLoop, grant: Grant) -> None:
    budget(grant, "25")
    stores = [loop.make_store() for _ in range(6)]
    keys = [Repeat(letter * 64, "d" * 64) for letter in "0123456789abcdef"[:4]]

    async def ask() -> list[list[Decision]]:
        turned = [keys if place % 2 else keys[::-1] for place in range(len(stores))]
        batches = [questions(*[repeating(grant, "5", each) for each in order]) for order in turned]
        return await asyncio.gather(*[store.decide(batch) for store, batch in zip(stores, batches, strict=True)])

    decisions = [decision for batch in loop.run(ask()) for decision in batch]
    assert allowed(decisions) == [True] * 24
    assert len(ids(decisions)) == Reservation.objects.count() == 4
    assert allowed(loop.decide(paying(grant, "5"), paying(grant, "0.01"))) == [True, False]


@pytest.mark.django_db(transaction=True)
def test_repeats_and_a_commit_at_once(grant: Grant) -> None:
    budget(grant, "10")
    (first,) = decide_in_thread([repeating(grant)])

    def repeat() -> Decision:
        return decide_in_thread([repeating(grant)])[0]

    *decisions, _ = race([*[repeat] * 8, lambda: commit(first.reservation_id)])
    assert all(decision == first or isinstance(decision.problem, DomainError) for decision in decisions)
    assert Reservation.objects.get().status == "committed"


class TestTwoCallsWithOneKey:
    def test_the_first_one_of_a_batch_is_decided(self, decide: Decide, grant: Grant) -> None:
        """Also if its first request reserves nothing, so that the other's could."""
        budget(grant, "10")
        decisions = decide(*call(grant, "11", "1"), *call(grant, "1", "2", digest="e"))
        assert allowed(decisions) == [False, True, False, False]
        assert [type(decision.problem) for decision in decisions[2:]] == [IdempotencyKeyReused] * 2
        assert list(Reservation.objects.values_list("amount", flat=True)) == ["1"]
        assert allowed(decide(*call(grant, "11", "1"))) == [False, True]

    def test_it_is_that_of_the_call_whatever_is_reserved_at_which_place(self, decide: Decide, grant: Grant) -> None:
        budget(grant, "10")
        assert allowed(decide(*call(grant, "11", "1"))) == [False, True]
        (decision,) = decide(*call(grant, "1", digest="e"))
        assert isinstance(decision.problem, IdempotencyKeyReused)

    def test_a_wrong_credential_does_not_take_it(self, decide: Decide, grant: Grant) -> None:
        """In a batch, too: the key can be known, and the id of a service is."""
        caller = caller_of(grant)
        (wrong,), (right,) = call(grant, "1", digest="e"), call(grant, "1")
        unknown = Credential(caller.server_id, "0" * 64)
        refused, decision = decide(wrong._replace(credential=unknown), right._replace(credential=caller))
        assert (refused.is_caller_refused, refused.problem, decision.allowed) == (True, None, True)

    def test_no_policy_is_evaluated_for_the_one_that_is_refused(
        self, decide: Decide, grant: Grant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or it would cost others much and the caller nothing."""
        decide(*call(grant, "1"))
        monkeypatch.setattr(judgement, "evaluate", None)
        (decision,) = decide(*call(grant, "2", digest="e"))
        assert isinstance(decision.problem, IdempotencyKeyReused)


@pytest.mark.django_db(transaction=True)
def test_a_refused_repeat_pays_for_the_counters_that_were_locked_for_it(loop: EventLoop, grant: Grant) -> None:
    """On SQLite, none are."""
    for seconds in range(100, 120):
        limit(grant, 1000, seconds=seconds)
    loop.decide(*call(grant, "1"))
    (decision,) = loop.decide(*call(grant, "2", digest="e"))
    locked = 20 if connection.vendor == "postgresql" else 0
    assert decision.effort == pytest.approx(LEAST_EFFORT + locked * COUNTER_SECONDS)


def test_a_batch_locks_one_number_per_call(grant: Grant) -> None:
    """Whatever its requests are: a transaction of PostgreSQL has room for few thousand locks."""
    asked = questions(*call(grant, *["1"] * 100), *call(grant, *["1"] * 100))
    (locks,) = [step.parameters[0] for step in ask_facts(asked, ()) if step.statement is Statement.LOCK_REPEATS]
    assert len(locks) == 1


@pytest.mark.django_db(transaction=True)
class TestACallInParts:
    """A call whose requests are decided in a batch each."""

    @pytest.fixture(autouse=True)
    def one_per_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batcher_module, "LONGEST_SECONDS", 1e-9)

    def test_its_repeat_gets_the_same_answers(self, loop: EventLoop, grant: Grant) -> None:
        budget(grant, "20")
        first = loop.run(submit(loop.make_store(), call(grant, "5", "6", "7")))
        assert allowed(first) == [True] * 3
        assert loop.run(submit(loop.first, call(grant, "5", "6", "7"))) == first
        assert Reservation.objects.count() == len(written_rows()) == 3

    def test_another_call_with_its_key_has_no_effect(self, loop: EventLoop, grant: Grant) -> None:
        """Its first batch finds that the last request of the first call reserved something."""
        budget(grant, "10")
        first = loop.run(submit(loop.make_store(), call(grant, "11", "12", "10")))
        assert allowed(first) == [False, False, True]
        written = len(written_rows())
        other = loop.run(submit(Failing(loop.first, after=1), call(grant, "1", "1", "1", digest="e")))
        assert [type(decision.problem) for decision in other] == [IdempotencyKeyReused] * 3
        assert (Reservation.objects.count(), len(written_rows())) == (1, written)

    def test_of_two_calls_with_one_key_at_once_one_reserves(self, loop: EventLoop, grant: Grant) -> None:
        stores = loop.make_store(), loop.make_store()
        calls = call(grant, *["1"] * 8), call(grant, *["2"] * 8, digest="e")

        async def ask() -> list[list[Decision]]:
            return await asyncio.gather(*map(submit, stores, calls))

        answers = loop.run(ask())
        assert sorted(allowed(answer) for answer in answers) == [[False] * 8, [True] * 8]
        assert len(set(Reservation.objects.values_list("repeat_digest", flat=True))) == 1

    def test_the_rest_is_not_refused_for_what_the_call_itself_reserved(self, loop: EventLoop, grant: Grant) -> None:
        """Here, its first reservation has lapsed before its second request is decided. A repeat is refused."""
        first, second = call(grant, "1", "1")
        asked = [first._replace(reserve_seconds=1), second]
        with time_machine.travel(clock.now(), tick=False) as traveller:
            store = Interrupted(loop.make_store(), lambda: traveller.shift(2))
            assert allowed(loop.run(submit(store, asked))) == [True, True]
            again = loop.run(submit(loop.first, asked))
        assert [type(decision.problem) for decision in again] == [ReservationExpired] * 2

    def test_a_repeat_decides_what_a_failure_left(self, loop: EventLoop, grant: Grant) -> None:
        budget(grant, "3")
        store = loop.make_store()
        with pytest.raises(OutcomeUnknown):
            loop.run(submit(Failing(store, after=2), call(grant, *["1"] * 3)))
        reserved = set(Reservation.objects.values_list("id", flat=True))
        assert len(reserved) == 2
        again = loop.run(submit(store, call(grant, *["1"] * 3)))
        assert allowed(again) == [True] * 3
        assert {decision.reservation_id for decision in again[:2]} == reserved
        assert allowed(loop.decide(paying(grant, "0.01"))) == [False]


class Interrupted:
    """A store beside which something happens after each batch."""

    reads_beside_commits = False

    def __init__(self, store: Store, act: Callable[[], object]) -> None:
        self._store = store
        self._act = act

    async def decide(self, questions: Sequence[Question], *others: Any) -> list[Decision]:
        decisions = await self._store.decide(questions, *others)
        self._act()
        return decisions


class Failing:
    """A store that decides some batches and then cannot be reached."""

    reads_beside_commits = False

    def __init__(self, store: Store, after: int) -> None:
        self._store = store
        self._left = after

    async def decide(self, questions: Sequence[Question], *others: Any) -> list[Decision]:
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailable("connection", "server closed the connection")
        return await self._store.decide(questions, *others)


def call(grant: Grant, *values: str, digest: str = "d") -> list[VerifyRequest]:
    return [repeating(grant, value, Repeat(REPEAT.key, digest * 64, place)) for place, value in enumerate(values)]


async def submit(store: Any, requests: Sequence[VerifyRequest]) -> list[Decision]:
    return await Batcher(store, limit=1000).submit(questions(*requests))
