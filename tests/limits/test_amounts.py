"""Amounts that are counted, held, committed and voided, compared with a list of all times."""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limits.counting import CounterDenial, count_call, find_denial, row_of, take_call
from limits.sliding_window import MAX_NUMBER, SLOTS, CounterRequest, LoadedCounter
from tests.shared import cases

START = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
UNIT = 10**8
MOST_REQUESTS = 12

amounts = st.sampled_from([0, 2, 3, 8]).flatmap(
    lambda places: st.integers(0, 10 ** (places + 2)).map(lambda whole: Decimal(whole).scaleb(-places))
)


@dataclass
class Hold:
    amount: Decimal
    until: datetime
    is_open: bool = True


@dataclass
class Oracle:
    """All that was ever counted or held, in decimals."""

    window: timedelta
    spent: list[tuple[datetime, Decimal]] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    def least(self, now: datetime) -> Decimal:
        """What must count at `now`: everything within the window, and what is reserved."""
        held = sum((hold.amount for hold in self.holds if hold.is_open and now < hold.until), Decimal(0))
        return held + sum((amount for at, amount in self.spent if now - at < self.window), Decimal(0))

    def most(self, now: datetime) -> Decimal:
        """What may count at `now`: one slot and one minute longer."""
        held = sum((hold.amount for hold in self.holds if hold.is_open and now < hold.until + MINUTE), Decimal(0))
        longest = self.window + self.window / 64
        return held + sum((amount for at, amount in self.spent if now - at < longest), Decimal(0))


@dataclass(frozen=True)
class Step:
    wait: timedelta
    kind: str
    amount: Decimal
    share: int
    lifetime: int


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, Decimal, list[Step]]:
    """Return a window, a limit and steps, many of them at the edges of windows, slots and minutes."""
    window = draw(st.one_of(st.integers(1, 120), st.integers(1, 86_400)))
    length, slot = window * 1_000_000, window * 15_625
    edges = [slot, length - slot, length, length + slot, 60_000_000]
    waits = st.one_of(
        st.just(0),
        st.integers(0, 3),
        st.integers(0, 2 * length),
        st.sampled_from(edges).flatmap(lambda edge: st.integers(max(0, edge - 2), edge + 2)),
    ).map(lambda count: count * MICROSECOND)
    kinds = st.sampled_from(["spend", "reserve", "reserve", "commit", "void"])
    lifetimes = st.sampled_from([1, 59, 60, 61, 600, 3600])
    steps = st.builds(Step, waits, kinds, amounts, st.integers(0, 4), lifetimes)
    limit = draw(amounts.filter(lambda amount: amount > 0))
    return window, limit, draw(st.lists(steps, min_size=1, max_size=40))


class Till:
    """One counter, stored and loaded between any two uses, beside its oracle."""

    def __init__(self, window: int, limit: Decimal) -> None:
        self.window, self.limit = window, limit
        self.oracle = Oracle(timedelta(seconds=window))
        self.slot, self.packed = 0, b""

    def load(self) -> LoadedCounter:
        return LoadedCounter.unpack("till", self.window, self.slot, self.packed)

    def save(self, counter: LoadedCounter) -> None:
        row = row_of(counter)
        self.slot, self.packed = row.slot, row.counts
        assert LoadedCounter.unpack("till", self.window, row.slot, row.counts).used(row.expires_at) == 0

    def ask(self, step: Step, now: datetime) -> None:
        counter = self.load()
        request = CounterRequest("till", units(self.limit), self.window, number=units(step.amount), is_amount=True)
        denial = find_denial([request], {"till": counter}, now)
        if denial is not None:
            self.check_denial(request, denial, now)
            return
        assert self.oracle.least(now) + step.amount <= self.limit
        until = now + timedelta(seconds=step.lifetime) if step.kind == "reserve" else None
        count_call([request], {"till": counter}, now, until)
        self.save(counter)
        if until is None:
            self.oracle.spent.append((now, step.amount))
        else:
            self.oracle.holds.append(Hold(step.amount, until))

    def check_denial(self, request: CounterRequest, denial: CounterDenial, now: datetime) -> None:
        amount, seconds = Decimal(request.number) / UNIT, denial.retry_after_seconds
        assert self.oracle.most(now) + amount > self.limit
        assert (seconds is None) == (amount > self.limit)
        if seconds is not None:
            assert find_denial([request], {"till": self.load()}, now + timedelta(seconds=seconds - 1)) is not None
            assert seconds <= request.window_seconds
        if seconds is not None and seconds < request.window_seconds:  # callers are never told to wait longer
            assert find_denial([request], {"till": self.load()}, now + timedelta(seconds=seconds)) is None

    def resolve(self, step: Step, now: datetime) -> None:
        """Resolve the oldest reservation that has not lapsed: commit a quarter of it up to all of it, or nothing."""
        hold = next((hold for hold in self.oracle.holds if hold.is_open and now < hold.until), None)
        if hold is None:
            return
        counter = self.load()
        assert counter.release(units(hold.amount), hold.until)
        hold.is_open = False
        if step.kind == "commit":
            final = (hold.amount * step.share / 4).quantize(Decimal(1) / UNIT, ROUND_DOWN)
            counter.take(units(final), now)
            self.oracle.spent.append((now, final))
        self.save(counter)


def units(amount: Decimal) -> int:
    number = amount * UNIT
    assert number == int(number)
    return int(number)


@given(histories())
def test_no_window_contains_more_than_the_limit_whatever_is_reserved(case: tuple[int, Decimal, list[Step]]) -> None:
    window, limit, steps = case
    till, now = Till(window, limit), START
    for step in steps:
        now += step.wait
        if step.kind in ("spend", "reserve"):
            till.ask(step, now)
        else:
            till.resolve(step, now)
        used = Decimal(till.load().used(now)) / UNIT
        assert till.oracle.least(now) <= used <= till.oracle.most(now)
        assert till.oracle.least(now) <= limit


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=SLOTS, max_size=SLOTS),
    st.lists(st.integers(0, MAX_NUMBER), min_size=SLOTS, max_size=SLOTS),
    st.dictionaries(st.integers(0, 2**40), st.integers(1, MAX_NUMBER), max_size=5),
)
def test_a_counter_is_stored_and_loaded_in_both_formats(
    small: list[int], large: list[int], held: dict[int, int]
) -> None:
    packed = LoadedCounter("a", 60, 7, small).pack()
    assert packed == struct.pack("<65I", *small)
    assert LoadedCounter.unpack("a", 60, 7, packed).counts == small
    wide = LoadedCounter("a", 60, 7, large, held=held)
    stored = LoadedCounter.unpack("a", 60, 7, wide.pack())
    assert (stored.counts, stored.held) == (large, held)
    assert not stored.changed


@cases("length", [0, 1, 259, 261, 1039, 1041, 1040 + 23])
def test_damaged_bytes_of_any_length_are_an_error(length: int) -> None:
    if length:
        with pytest.raises(struct.error):
            LoadedCounter.unpack("a", 60, 1, b"\1" * length)


def test_a_hold_counts_until_the_first_full_minute_after_it_ends() -> None:
    counter, noon = LoadedCounter("a", 60), datetime(2026, 3, 29, 12, tzinfo=UTC)
    counter.hold(5, noon + timedelta(seconds=1))
    counter.hold(7, noon)
    assert counter.used(noon - MICROSECOND) == 12
    assert counter.used(noon) == 5
    assert counter.used(noon + MINUTE - MICROSECOND) == 5
    assert counter.used(noon + MINUTE) == 0


def test_a_hold_can_be_released_once() -> None:
    counter = LoadedCounter("a", 60)
    counter.hold(5, START)
    assert counter.release(5, START)
    assert not counter.release(5, START)
    assert counter.held == {}


def test_a_hold_that_another_clock_found_lapsed_cannot_be_released() -> None:
    counter = LoadedCounter("a", 60)
    counter.hold(5, START)
    counter.take(1, START + MINUTE)
    assert not counter.release(5, START)
    assert counter.used(START) == 1


def test_a_counter_is_not_swept_before_its_holds_have_lapsed() -> None:
    counter = LoadedCounter("a", 1)
    counter.take(1, START)
    counter.hold(1, START + timedelta(hours=1))
    assert counter.expires_at > START + timedelta(hours=1)


def test_what_is_held_counts_once_in_a_counter_that_starts_from_others() -> None:
    own, everyone, new = LoadedCounter("a", 60), LoadedCounter("b", 3600), LoadedCounter("c", 600)
    for each in (own, everyone):
        each.hold(5, START + MINUTE)
    new.add(own, START)
    new.add(everyone, START, until=START)
    assert new.used(START) == 5


def test_only_amounts_are_held() -> None:
    call = [CounterRequest("calls", 5, 60), CounterRequest("spent", 9, 60, number=4, is_amount=True)]
    counters = {request.key: LoadedCounter(request.key, 60) for request in call}
    count_call(call, counters, START, START + MINUTE)
    assert (counters["calls"].held, sum(counters["calls"].counts)) == ({}, 1)
    assert sum(counters["spent"].held.values()) == 4
    assert sum(counters["spent"].counts) == 0


def test_a_call_that_can_never_fit_has_no_time_to_try_again() -> None:
    call = [CounterRequest("calls", 1, 60), CounterRequest("spent", 9, 60, number=10, is_amount=True)]
    counters = {request.key: LoadedCounter(request.key, 60) for request in call}
    assert take_call(call, counters, START) == CounterDenial(1, None)
    counters["calls"].take(1, START)
    assert take_call(call, counters, START) == CounterDenial(0, None)
    assert counters["spent"].used(START) == 0


def test_nothing_fits_into_a_budget_that_is_full_and_the_whole_into_an_empty_one() -> None:
    call = [CounterRequest("spent", 10**23, 60, number=10**23, is_amount=True)]
    counters = {"spent": LoadedCounter("spent", 60)}
    assert take_call(call, counters, START) is None
    stored = LoadedCounter.unpack("spent", 60, *row_of(counters["spent"])[:2])
    assert take_call(call, {"spent": stored}, START + timedelta(seconds=59)) == CounterDenial(0, 2)
    assert take_call(call, {"spent": stored}, START + timedelta(seconds=61)) is None


def test_a_negative_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        CounterRequest("a", 1, 60, number=-1)
