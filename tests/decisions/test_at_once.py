"""Batches of several questions, stores and threads at once: nothing is counted twice, and failures stay apart."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import Unavailable
from decisions import conversation, turns
from decisions.batcher import Batcher
from decisions.conversation import TooManyStarts
from decisions.questions import Question
from decisions.requests import Decision, VerifyRequest
from decisions.stores.base import Store
from tests.decisions.drivers import (
    Decide,
    EventLoop,
    allowed,
    another_user_of,
    asking,
    decide_on_django,
    event_loop,
    limit,
    questions,
    written_rows,
)
from tests.threads import race
from tests.world import Grant, make_grant

pytestmark = pytest.mark.django_db

Outcome = Decision | BaseException


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an action that the judgement of a question fails on."""

    def judge(question: Any, *others: Any) -> Any:
        if question.request.action == "poison":
            raise ValueError("poison")
        return original(question, *others)

    original = conversation.judge
    monkeypatch.setattr(conversation, "judge", judge)
    return "poison"


def ask_apart(loop: EventLoop, stores: int, requests: Sequence[VerifyRequest]) -> list[Outcome]:
    """Ask each question for itself, in turns of a batcher per store. Return the decisions or errors in order."""
    return loop.run(_ask_apart([loop.make_store() for _ in range(stores)], questions(*requests)))


async def _ask_apart(stores: Sequence[Store], asked: Sequence[Question]) -> list[Outcome]:
    batchers = [Batcher(store, 10_000) for store in stores]
    answers = [batchers[number % len(batchers)].submit([question]) for number, question in enumerate(asked)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    return [outcome if isinstance(outcome, BaseException) else outcome[0] for outcome in outcomes]


@pytest.mark.postgresql
def test_a_failed_batch_counts_and_logs_nothing(decide: Decide, grant: Grant, poison: str) -> None:
    limit(grant, 2)
    good = asking(grant.access_token)
    with pytest.raises(ValueError, match=poison):
        decide(good, good._replace(action=poison), good)
    assert written_rows() == []
    assert allowed(decide(good, good, good)) == [True, True, False]


@pytest.mark.django_db(transaction=True)
def test_a_failing_question_does_not_fail_the_others_of_its_batch(loop: EventLoop, grant: Grant, poison: str) -> None:
    limit(grant, 5)
    good = asking(grant.access_token)
    asked = [good._replace(action=poison) if number in (2, 6) else good for number in range(9)]

    outcomes = ask_apart(loop, 1, asked)

    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, ValueError)] == [2, 6]
    decisions = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    assert sorted(allowed(decisions)) == [False] * 2 + [True] * 5
    assert sum(map(len, written_rows())) == 7


@pytest.mark.postgresql(only=True)  # SQLite has one writer at a time, so a batch starts once
def test_a_batch_starts_again_only_so_often(decide: Decide, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(grant, 2)
    with monkeypatch.context() as patch:
        patch.setattr(conversation, "MAX_STARTS", 1)
        with pytest.raises(TooManyStarts) as refused:
            decide(asking(grant.access_token))
    assert isinstance(refused.value, Unavailable)
    assert written_rows() == []
    assert allowed(decide(*[asking(grant.access_token)] * 3)) == [True, True, False]


@pytest.mark.parametrize("stores", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_a_limit_is_exact_over_batches_at_once(
    loop: EventLoop, grant: Grant, monkeypatch: pytest.MonkeyPatch, stores: int
) -> None:
    monkeypatch.setattr(turns, "MAX_BATCH", 4)
    limit(grant, 20)
    limit(grant, 30, "global")

    outcomes = ask_apart(loop, stores, [asking(grant.access_token)] * 64)

    decisions = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    assert len(decisions) == 64
    assert sum(allowed(decisions)) == 20
    assert len(written_rows()) == 16, "the stores took turns"
    logged = [record for row in written_rows() for record in row]
    assert sum(record.content["outcome"] == "allowed" for record in logged) == 20
    assert {record.id for record in logged} == {decision.audit_id for decision in decisions}


@pytest.mark.django_db(transaction=True)
def test_a_limit_is_exact_over_threads_with_a_store_and_threads_of_django(grant: Grant) -> None:
    limit(grant, 20)
    asked = [asking(grant.access_token)] * 16

    def in_event_loop() -> list[bool]:
        with event_loop() as loop:
            return [decision.allowed for request in asked for decision in loop.decide(request)]

    def in_django() -> list[bool]:
        return [decision.allowed for request in asked for decision in decide_on_django(request)]

    assert sum(map(sum, race([in_event_loop, in_django, in_event_loop, in_django]))) == 20


@pytest.mark.django_db(transaction=True)
def test_overlapping_batches_never_deadlock(loop: EventLoop, grant: Grant) -> None:
    """Each batch has its own order of the same counters, and each round has counters that do not exist yet."""
    limit(grant, 1000, "per_user")
    limit(grant, 1000, "per_agent")
    other = make_grant(email="bob@example.com", developer="bob-dev@example.com")
    limit(other, 1000, "global")
    tokens = [grant.access_token, other.access_token, *(another_user_of(grant, name) for name in "cdefgh")]
    stores = [loop.make_store() for _ in range(3)]

    asked = questions(*map(asking, tokens))

    async def decide_repeatedly(store: Store, seed: int) -> int:
        sample = random.Random(seed).sample
        return sum([sum(allowed(await store.decide(sample(asked, 1 + number % 8)))) for number in range(30)])

    async def decide_at_once() -> list[int]:
        return await asyncio.gather(*(decide_repeatedly(store, seed) for seed, store in enumerate(stores)))

    expected = sum(1 + number % 8 for number in range(30))
    assert loop.run(decide_at_once()) == [expected] * 3
