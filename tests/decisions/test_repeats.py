"""Repeated requests with `reserve`, by both drivers and at the same time: one key makes one reservation."""

import asyncio
from typing import Any

import pytest

from core.errors import DomainError
from core.idempotency import IdempotencyKeyReused
from decisions.requests import Decision, Repeat, VerifyRequest
from decisions.services import decide as decide_in_thread
from limits.models import Reservation
from tests.decisions.drivers import Decide, EventLoop, allowed, caller_of, questions, written_rows
from tests.decisions.test_reserving import budget, commit, paying, reserving
from tests.threads import race
from tests.world import Grant

pytestmark = pytest.mark.django_db(transaction=True)

REPEAT = Repeat("a" * 64, "d" * 64)


def repeating(grant: Grant, value: str = "10", repeat: Repeat = REPEAT, **fields: Any) -> VerifyRequest:
    return reserving(grant, value, repeat=repeat, **fields)


def ids(decisions: list[Decision]) -> set[str | None]:
    return {decision.reservation_id for decision in decisions}


def test_a_repeat_is_answered_without_counting_or_logging_again(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    (first,) = decide(repeating(grant))
    (again,) = decide(repeating(grant))
    assert first.allowed
    assert again == first
    assert (Reservation.objects.count(), len(written_rows())) == (1, 1)
    assert allowed(decide(paying(grant, "0.01"))) == [False]


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


def test_parallel_repeats_in_threads_make_one_reservation(grant: Grant) -> None:
    budget(grant, "25")
    decisions = race([lambda: decide_in_thread([repeating(grant)])[0]] * 12)
    assert allowed(decisions) == [True] * 12
    assert len(ids(decisions)) == Reservation.objects.count() == 1
    assert len(written_rows()) == 1


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


def test_repeats_and_a_commit_at_once(grant: Grant) -> None:
    budget(grant, "10")
    (first,) = decide_in_thread([repeating(grant)])

    def repeat() -> Decision:
        return decide_in_thread([repeating(grant)])[0]

    *decisions, _ = race([*[repeat] * 8, lambda: commit(first.reservation_id)])
    assert all(decision == first or isinstance(decision.problem, DomainError) for decision in decisions)
    assert Reservation.objects.get().status == "committed"
