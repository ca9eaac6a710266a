"""Tenants take turns by what their questions cost."""

import asyncio
from collections.abc import Sequence

import pytest

from decisions.questions import Question
from decisions.requests import VerifyRequest
from decisions.turns import BATCH_SECONDS, MAX_BATCH, PART_SECONDS, Part, Pending, Turns
from tests.world import ANONYMOUS

CHEAP = 0.0001


@pytest.fixture
def turns() -> Turns:
    return Turns(lambda question: question.named_audience or "")


def pending(number: int = 1) -> Pending:
    request = VerifyRequest(token="x", required_scopes=(), actor=ANONYMOUS)
    return Pending([Question(request, None, None)] * number, asyncio.get_running_loop().create_future(), 0.0)


def ask(turns: Turns, name: str, *requests: Pending, cost: float = CHEAP) -> None:
    tenant = turns.tenant(name)
    tenant.cost = cost
    for each in requests:
        turns.add(tenant, each)


def numbers(turns: Turns, batch: Sequence[Part], *names: str) -> list[int]:
    """Return how many questions of each tenant are in the batch."""
    return [sum(len(part.questions) for part in batch if part.tenant is turns.tenant(name)) for name in names]


async def test_a_batch_has_questions_of_all_tenants(turns: Turns) -> None:
    ask(turns, "a", *[pending() for _ in range(5)])
    ask(turns, "b", *[pending() for _ in range(3)])
    assert numbers(turns, turns.take(), "a", "b") == [5, 3]
    assert turns.number == 0
    assert turns.take() == []


async def test_a_tenant_whose_questions_cost_ten_times_as_much_gets_a_tenth(turns: Turns) -> None:
    ask(turns, "costly", *[pending() for _ in range(300)], cost=10 * CHEAP)
    ask(turns, "cheap", *[pending() for _ in range(300)])
    costly, cheap = 0, 0
    while cheap < 250:
        batch = turns.take()
        one, other = numbers(turns, batch, "costly", "cheap")
        costly, cheap = costly + one, cheap + other
    assert costly == pytest.approx(cheap / 10, abs=2)


async def test_who_comes_later_is_next_however_much_the_other_has_waiting(turns: Turns) -> None:
    ask(turns, "flood", *[pending() for _ in range(500)], cost=BATCH_SECONDS)
    for _ in range(20):
        turns.take()
    ask(turns, "late", pending())
    first, *_ = turns.take()
    second, *_ = turns.take()
    assert turns.tenant("late") in (first.tenant, second.tenant)


async def test_time_that_was_not_used_is_not_saved_up(turns: Turns) -> None:
    ask(turns, "busy", *[pending() for _ in range(1000)])
    for _ in range(5):
        turns.take()
    ask(turns, "idle", *[pending() for _ in range(1000)])
    busy, idle = numbers(turns, turns.take(), "busy", "idle")
    assert abs(busy - idle) <= 2


async def test_a_batch_is_bounded_by_its_cost_and_its_size(turns: Turns) -> None:
    ask(turns, "a", *[pending() for _ in range(1000)])
    assert len(turns.take()) == pytest.approx(BATCH_SECONDS / CHEAP, abs=1)
    ask(turns, "a", cost=CHEAP / 100)
    assert numbers(turns, turns.take(), "a") == [MAX_BATCH]


async def test_costly_questions_have_batches_of_their_own(turns: Turns) -> None:
    ask(turns, "costly", *[pending() for _ in range(10)], cost=PART_SECONDS / 2)
    ask(turns, "cheap", *[pending() for _ in range(10)])
    batches = [numbers(turns, turns.take(), "costly", "cheap") for _ in range(3)]
    assert batches == [[1, 0], [0, 10], [2, 0]], "the cheap ones as soon as it is their turn"


async def test_many_questions_of_one_request_are_decided_in_parts(turns: Turns) -> None:
    request = pending(100)
    ask(turns, "a", request, cost=BATCH_SECONDS / 4)
    assert [[len(part.questions) for part in turns.take()] for _ in range(3)] == [[1]] * 3
    assert turns.number == 97
    assert [*turns] == [request]


async def test_others_come_between_the_parts_of_a_request(turns: Turns) -> None:
    """They wait for at most one, whatever a batch has room for."""
    size = int(PART_SECONDS / CHEAP)
    ask(turns, "cheap", pending(), pending())
    ask(turns, "many", pending(2 * size + 1))
    batches = [numbers(turns, turns.take(), "cheap", "many") for _ in range(3)]
    ask(turns, "cheap", pending())
    assert [*batches, numbers(turns, turns.take(), "cheap", "many")] == [[1, size], [1, size], [0, 1], [1, 0]]


async def test_what_a_part_has_cost_is_charged_and_expected_of_the_next(turns: Turns) -> None:
    ask(turns, "slow", *[pending() for _ in range(50)])
    ask(turns, "quick", *[pending() for _ in range(500)])
    slow, batch = turns.tenant("slow"), turns.take()
    turns.settle(batch, [(0.01 if part.tenant is slow else CHEAP) * len(part.questions) for part in batch])
    assert slow.cost == pytest.approx((0.01 + CHEAP) / 2)
    assert turns.tenant("quick").cost == pytest.approx(CHEAP)
    assert sum(numbers(turns, turns.take(), "slow")[0] for _ in range(3)) == 0, "the others catch up first"


async def test_requests_that_are_not_waited_for_are_left_out(turns: Turns) -> None:
    late, begun = pending(), pending(100)
    ask(turns, "a", begun, late, cost=PART_SECONDS)
    turns.take()
    for each in (late, begun):
        each.answer.set_result([])
    assert turns.take() == []
    assert turns.number == 0


async def test_the_tenant_with_most_questions_makes_room(turns: Turns) -> None:
    newest = pending(10)
    ask(turns, "many", pending(10), newest)
    ask(turns, "few", pending(2))
    assert turns.drop_newest(beyond=12) is newest
    assert turns.number == 12
    assert turns.drop_newest(beyond=10) is None
    assert numbers(turns, turns.take(), "many", "few") == [10, 2]


async def test_a_request_that_has_begun_is_not_dropped(turns: Turns) -> None:
    ask(turns, "many", pending(100), cost=PART_SECONDS)
    turns.take()
    assert turns.drop_newest(beyond=0) is None


async def test_a_tenant_has_one_place_in_the_queue(turns: Turns) -> None:
    """Also if its requests are dropped and come again, as often as the caller likes."""
    ask(turns, "other", pending())
    for _ in range(5):
        ask(turns, "a", pending(10))
        assert turns.drop_newest(beyond=1) is not None
    assert len(turns._heap) == 2
    ask(turns, "a", pending(10))
    assert numbers(turns, turns.take(), "a", "other") == [10, 1]
    assert turns.take() == [] == turns._heap


async def test_a_strangers_requests_leave_the_shared_turn_once_the_organization_is_known(turns: Turns) -> None:
    """Or a flood from a new organization would keep all other new ones waiting."""
    flood = [pending(100) for _ in range(8)]
    ask(turns, "", *flood, pending(), cost=PART_SECONDS)
    turns.take()
    for each in flood:
        each.questions = [question._replace(named_audience="org_1") for question in each.questions]
    turns.tenant("org_1").cost = PART_SECONDS
    first, second = turns.take(), turns.take()
    assert {numbers(turns, batch, "")[0] for batch in (first, second)} == {0, 1}
    assert turns.number == 8 * 100 - 2


async def test_what_was_left_of_a_batch_waits_in_its_order(turns: Turns) -> None:
    """It is still in front of what has come later, and counts as not begun."""
    first, second, later = pending(4), pending(2), pending()
    ask(turns, "a", first, second)
    batch = turns.take()
    ask(turns, "a", later)
    kept = turns.give_back(batch, 3)
    assert [len(part.questions) for part in kept] == [3, 0]
    turns.settle(kept, [3 * CHEAP, 0.0])
    assert (turns.number, first.taken, second.taken) == (4, 3, 0)
    assert [(part.pending, len(part.questions)) for part in turns.take()] == [(first, 1), (second, 2), (later, 1)]
    assert turns.take() == []
    assert turns.number == 0


async def test_a_tenant_whose_only_request_has_begun_protects_no_other(turns: Turns) -> None:
    ask(turns, "begun", pending(100), cost=PART_SECONDS)
    turns.take()
    newest = pending(20)
    ask(turns, "many", pending(20), newest)
    assert turns.drop_newest(beyond=1) is newest
