"""When deliveries are tried, and whose turn it is."""

from datetime import UTC, datetime, timedelta

from events.schedule import (
    DELAYS,
    MAX_DOUBTFUL_TRIES,
    MAX_OUTSTANDING,
    MAX_PER_TRIP,
    MAX_TRIES,
    MAX_TRIES_PER_ORGANIZATION,
    MAX_TRIES_PER_WEBHOOK,
    Load,
    Outstanding,
    Queue,
    due_now,
    next_due,
    next_try,
    take_turns,
    trips,
)
from tests.shared import cases

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def outstanding(number: int, *, attempt: int = 0, due_in: timedelta = timedelta(0)) -> Outstanding:
    return Outstanding(f"dlv_{number}", "whk_1", f"log_{number}", number, number, attempt, NOW + due_in, None)


def queue(name: str, organization: str, length: int, *, is_doubtful: bool = False) -> Queue:
    return Queue(name, organization, is_doubtful, [outstanding(number) for number in range(length)])


def test_the_tries_are_those_that_the_documentation_names() -> None:
    hours = [delay / HOUR for delay in DELAYS[3:]]
    assert list(DELAYS[:3]) == [5 * SECOND, 300 * SECOND, 1800 * SECOND]
    assert hours == [2, 5, 10, 14, 20, 24]
    assert [next_try(attempt, NOW) for attempt in range(1, 10)] == [NOW + delay for delay in DELAYS]
    assert next_try(10, NOW) is None


def test_jitter_adds_a_tenth_at_most() -> None:
    assert next_try(4, NOW, share=1.0) == NOW + 2.2 * HOUR


@cases(
    ("retry_after", "wait"),
    [
        ("3600", HOUR),
        (" 7200 ", 2 * HOUR),
        ("999999999999999999999", DAY),
        ("Tue, 01 Dec 2026 13:00:00 GMT", HOUR),
        ("Thu, 01 Jan 2099 00:00:00 GMT", DAY),
        ("Mon, 30 Nov 2026 00:00:00 GMT", 5 * SECOND),
        ("1", 5 * SECOND),
        ("-5", 5 * SECOND),
        ("soon", 5 * SECOND),
        ("Tue, 01 Dec 99999999 13:00:00 GMT", 5 * SECOND),
        ("٣٦٠٠", 5 * SECOND),
        ("", 5 * SECOND),
    ],
)
def test_the_receiver_can_ask_for_a_later_try(retry_after: str, wait: timedelta) -> None:
    assert next_try(1, NOW, retry_after=retry_after) == NOW + wait


def test_what_is_due_and_not_in_flight_is_tried_oldest_first() -> None:
    found = [outstanding(1, due_in=SECOND), outstanding(2), outstanding(3), outstanding(4)]
    assert due_now(found, NOW, in_flight={"dlv_3"}) == [found[1], found[3]]
    assert next_due(found) == NOW
    assert next_due([]) is None


def test_with_many_that_were_all_tried_only_the_oldest_is() -> None:
    tried = [outstanding(number, attempt=1) for number in range(MAX_OUTSTANDING)]
    assert due_now(tried, NOW) == tried[:1]
    assert due_now(tried[1:], NOW) == tried[1:]
    later = [outstanding(0, attempt=2, due_in=HOUR), *tried[1:]]
    assert due_now(later, NOW) == []
    assert next_due(later) == NOW + HOUR
    assert len(due_now([*tried, outstanding(100)], NOW)) == MAX_OUTSTANDING + 1


@cases(
    ("queues", "expected"),
    [
        ([queue("a", "x", 9)], {"a": MAX_TRIES_PER_WEBHOOK}),
        ([queue(str(number), "x", 9) for number in range(9)], MAX_TRIES_PER_ORGANIZATION),
        ([queue(str(number), str(number), 9) for number in range(99)], MAX_TRIES),
        ([queue("a", "x", 9, is_doubtful=True)], {"a": 1}),
        ([queue(str(number), str(number), 9, is_doubtful=True) for number in range(99)], MAX_DOUBTFUL_TRIES),
    ],
)
def test_tries_are_bounded(queues: list[Queue], expected: object) -> None:
    load = Load()
    started = take_turns(queues, load)
    assert load.total == len(started)
    assert expected in (len(started), dict(load.of_webhooks))
    assert take_turns(queues, load) == []


def test_a_try_carries_on_with_what_else_is_due() -> None:
    busy, failing = queue("a", "x", 200), queue("b", "y", 9, is_doubtful=True)
    found = trips(take_turns([busy, failing], load := Load()))
    assert [len(several) for queue, several in found if queue is busy] == [MAX_PER_TRIP] * MAX_TRIES_PER_WEBHOOK
    assert [len(several) for queue, several in found if queue is failing] == [1]
    assert load.total == 5


def test_organizations_and_their_webhooks_take_turns() -> None:
    big = [queue(f"big-{number}", "big", 9) for number in range(20)]
    started = take_turns([*big, queue("small", "small", 2), queue("other", "other", 1)], Load())
    names = [each.webhook_id for each, _ in started[:6]]
    assert names == ["big-0", "small", "other", "big-1", "small", "big-2"]


def test_what_is_in_flight_counts() -> None:
    load, busy, idle = Load(), queue("a", "x", 9), queue("b", "y", 1)
    load.add(busy, MAX_TRIES_PER_WEBHOOK)
    assert [each for each, _ in take_turns([busy, idle], load)] == [idle]
    load.add(busy, -1)
    assert [each for each, _ in take_turns([busy, idle], load)] == [busy]


def test_hanging_webhooks_leave_tries_for_others() -> None:
    """Fifty endpoints of an organization hang, and all those of other organizations that are failing."""
    load = Load()
    take_turns([queue(f"a{number}", "x", 9, is_doubtful=True) for number in range(50)], load)
    assert load.total == MAX_TRIES_PER_ORGANIZATION
    take_turns([queue(f"b{number}", f"y{number}", 9, is_doubtful=True) for number in range(50)], load)
    assert load.total == MAX_DOUBTFUL_TRIES
    good = queue("good", "z", 9)
    assert len(take_turns([good], load)) == MAX_TRIES_PER_WEBHOOK
