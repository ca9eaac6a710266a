import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limits.sliding_window import EPOCH, MAX_NUMBER, SLOTS, Carried, CounterRequest, LoadedCounter, counter_key
from tests.shared import cases

START = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

windows = st.one_of(st.integers(1, 120), st.integers(1, 2_592_000))
starts = st.integers(0, 2_592_000_000_000).map(lambda offset: START + offset * MICROSECOND)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, int, list[datetime]]:
    """Return a limit, a window and times of calls, many of them near the edges of windows and slots."""
    limit, window = draw(st.integers(1, 6)), draw(windows)
    length, slot = window * 1_000_000, window * 15_625
    steps = st.one_of(
        st.just(0),
        st.integers(0, 3),
        st.integers(0, 2 * length),
        st.sampled_from([slot, length - slot, length, length + slot]).flatmap(
            lambda edge: st.integers(max(0, edge - 2), edge + 2)
        ),
    )
    moment, moments = draw(starts), []
    for step in draw(st.lists(steps, min_size=1, max_size=60)):
        moment += step * MICROSECOND
        moments.append(moment)
    return limit, window, moments


def play(limit: int, window: int, moments: list[datetime]) -> list[tuple[datetime, bool]]:
    """Return each call and whether it was allowed. The counter is stored and loaded between calls."""
    slot, packed = 0, b""
    log = []
    for moment in moments:
        counter = LoadedCounter.unpack("key", window, slot, packed)
        allowed = counter.room(limit, moment) > 0
        if allowed:
            counter.take(1, moment)
        log.append((moment, allowed))
        slot, packed = counter.slot, counter.pack()
    return log


@given(arrivals())
def test_no_window_ever_contains_more_calls_than_the_limit(
    case: tuple[int, int, list[datetime]],
) -> None:
    limit, window, moments = case
    allowed = [moment for moment, was_allowed in play(limit, window, moments) if was_allowed]

    for first, beyond in zip(allowed, allowed[limit:], strict=False):
        assert beyond - first > timedelta(seconds=window)


@given(arrivals())
def test_a_call_is_refused_at_most_one_64th_of_the_window_early(
    case: tuple[int, int, list[datetime]],
) -> None:
    limit, window, moments = case
    log = play(limit, window, moments)
    longest = timedelta(microseconds=window * 1_000_000 + window * 15_625)

    for index, (moment, was_allowed) in enumerate(log):
        if not was_allowed:
            recent = [then for then, counted in log[:index] if counted and moment - then < longest]
            assert len(recent) >= limit


@given(starts, windows, st.integers(1, 50), st.integers(1, 50))
def test_a_new_window_allows_exactly_the_limit_at_once(start: datetime, window: int, limit: int, excess: int) -> None:
    log = play(limit, window, [start] * (limit + excess))

    assert [was_allowed for _, was_allowed in log] == [True] * limit + [False] * excess


@given(arrivals())
def test_retry_after_is_exact_to_the_second_within_the_window(
    case: tuple[int, int, list[datetime]],
) -> None:
    """A call counts for up to one slot longer than the window, but callers are never told to wait longer."""
    limit, window, moments = case
    counter = LoadedCounter("key", window)
    for moment in moments:
        seconds = counter.retry_after(limit, moment)
        assert seconds is not None
        assert (seconds == 0) == (counter.room(limit, moment) > 0)
        if not seconds:
            counter.take(1, moment)
    seconds = counter.retry_after(limit, moments[-1])

    if seconds:
        early = LoadedCounter.unpack("key", window, counter.slot, counter.pack())
        assert early.room(limit, moments[-1] + timedelta(seconds=seconds - 1)) == 0
        assert seconds <= window
        longest = timedelta(seconds=window) * SLOTS / (SLOTS - 1)
        waited = longest if seconds == window else timedelta(seconds=seconds)
        assert counter.room(limit, moments[-1] + waited) >= 1


def test_a_call_counts_for_its_window_and_at_most_one_slot_longer() -> None:
    counter = LoadedCounter("key", 64)
    on_the_edge = EPOCH + timedelta(seconds=6400)
    counter.take(1, on_the_edge)

    assert counter.retry_after(1, on_the_edge) == 64
    assert counter.used(on_the_edge + timedelta(seconds=65) - MICROSECOND) == 1
    assert counter.used(on_the_edge + timedelta(seconds=65)) == 0


@cases("back", [timedelta(seconds=4), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_that_goes_back_gives_no_second_quota_and_blocks_for_one_window(back: timedelta) -> None:
    counter = LoadedCounter("key", 64)
    counter.take(3, START)
    now = START - back
    assert counter.room(3, now) == 0
    assert counter.room(4, now) == 1
    assert counter.retry_after(3, now) <= 65 + 5
    assert counter.changed
    counter.take(1, now)
    assert counter.room(4, now + timedelta(seconds=63)) == 0
    assert counter.room(4, now + timedelta(seconds=65 + 5)) == 4


def test_what_was_counted_before_the_clock_jumped_keeps_its_time() -> None:
    counter = LoadedCounter("key", 64)
    counter.take(2, START)
    counter.take(3, START + timedelta(seconds=40))
    now = START + timedelta(seconds=10)
    assert counter.used(now) == 5
    assert counter.used(START + timedelta(seconds=66)) == 3
    assert counter.used(now + timedelta(seconds=66)) == 0


def test_what_is_held_by_a_clock_that_was_set_back_is_held_for_an_hour() -> None:
    counter = LoadedCounter("key", 60)
    counter.hold(3, START + timedelta(days=1, hours=1))
    assert counter.used(START) == 3
    assert counter.used(START + timedelta(minutes=63)) == 0


def test_a_limit_lowered_below_the_used_number_leaves_no_room() -> None:
    counter = LoadedCounter("key", 60)
    counter.take(5, START)

    assert counter.room(2, START) == 0
    assert counter.retry_after(2, START) > 0


def test_a_call_that_was_given_back_leaves_room() -> None:
    counter = LoadedCounter("key", 60)
    counter.take(2, START)
    counter.give_back(START + timedelta(seconds=5))

    assert counter.room(2, START + timedelta(seconds=5)) == 1


def test_giving_back_to_an_empty_counter_changes_nothing() -> None:
    counter = LoadedCounter("key", 60)
    counter.give_back(START)

    assert counter.used(START) == 0
    assert not counter.changed


def test_a_counter_expires_on_the_hour_after_it_is_empty() -> None:
    counter = LoadedCounter("key", 2_592_000)
    counter.take(1, START)
    expires_at = counter.expires_at

    assert START + timedelta(days=30) < expires_at < START + timedelta(days=31)
    assert (expires_at - EPOCH) % timedelta(hours=1) == timedelta(0)
    assert counter.used(expires_at) == 0


def test_damaged_bytes_are_an_error() -> None:
    with pytest.raises(struct.error):
        LoadedCounter.unpack("key", 60, 1, b"\0" * (4 * SLOTS - 1))


@cases(("key", "limit", "window"), [("", 1, 1), ("k" * 201, 1, 1), ("k", 0, 1), ("k", 1, 0), ("k", -1, 1)])
def test_an_invalid_counter_request_is_an_error(key: str, limit: int, window: int) -> None:
    with pytest.raises(ValueError, match="counter"):
        CounterRequest(key, limit, window)


def test_long_keys_become_different_digests() -> None:
    one, other = counter_key("rate", "p" * 200, "a"), counter_key("rate", "p" * 200, "b")

    assert one != other
    assert len(one) == 64
    assert counter_key("rate", "pol_1", 60) == "rate|pol_1|60"


@given(arrivals(), windows, st.lists(st.integers(0, 3_000_000), max_size=5))
def test_calls_added_to_another_window_count_at_least_as_long_and_little_longer(
    case: tuple[int, int, list[datetime]], window: int, later: list[int]
) -> None:
    _, old_window, moments = case
    old = LoadedCounter("old", old_window)
    for moment in moments:
        old.take(1, moment)
    moved_at = moments[-1]
    known = [moment for moment in moments if old_window >= (moved_at - moment).total_seconds()]
    new = LoadedCounter("new", window)
    new.add(old, moved_at)
    for seconds in sorted(later):
        now = moved_at + timedelta(seconds=seconds)
        used, slack = new.used(now), timedelta(seconds=(window + old_window) / 64)
        assert used >= sum(now - moment < timedelta(seconds=window) for moment in known)
        assert used <= sum(now - moment < timedelta(seconds=window) + slack for moment in moments)


def test_adding_counters_of_the_same_window_is_exact() -> None:
    one, other = LoadedCounter("a", 64), LoadedCounter("b", 64)
    for seconds in range(0, 64, 3):
        one.take(1, START + timedelta(seconds=seconds))
        other.take(2, START + timedelta(seconds=seconds + 1))
    now = START + timedelta(seconds=64)
    both = LoadedCounter("c", 64)
    both.add(one, now)
    both.add(other, now)
    for seconds in range(64, 140):
        moment = START + timedelta(seconds=seconds)
        assert both.used(moment) == one.used(moment) + other.used(moment)


def test_a_slot_never_overflows() -> None:
    full = LoadedCounter("a", 60)
    full.take(2**32 - 1, START)
    full.add(full, START)
    assert LoadedCounter.unpack("a", 60, full.slot, full.pack()).used(START) == 2 * (2**32 - 1)
    full.take(MAX_NUMBER - full.used(START), START)
    full.add(full, START)
    assert LoadedCounter.unpack("a", 60, full.slot, full.pack()).used(START) == MAX_NUMBER


def test_a_counter_cannot_be_carried_to_itself() -> None:
    with pytest.raises(ValueError, match="other than itself"):
        CounterRequest("a", 1, 60, (Carried("a", 60),))
