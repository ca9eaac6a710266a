from datetime import UTC, datetime

import pytest

from limits.counting import EMPTY_ROW, CounterDenial, row_of, take_call, windows_by_key
from limits.sliding_window import Carried, CounterRequest, LoadedCounter

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)


def loaded(*requests: CounterRequest) -> dict[str, LoadedCounter]:
    return {key: LoadedCounter(key, window) for key, window in windows_by_key(requests).items()}


def test_a_call_counts_in_all_of_its_counters_or_in_none() -> None:
    wide, narrow = CounterRequest("wide", 5, 60), CounterRequest("narrow", 1, 60)
    counters = loaded(wide, narrow)
    assert take_call([wide, narrow], counters, NOW) is None
    assert take_call([wide, narrow], counters, NOW) == CounterDenial(1, 60)
    assert {key: counter.used(NOW) for key, counter in counters.items()} == {"wide": 1, "narrow": 1}


def test_a_counter_that_is_requested_twice_counts_once_with_the_lower_limit() -> None:
    twice = [CounterRequest("a", 5, 60), CounterRequest("a", 1, 60)]
    counters = loaded(*twice)
    assert take_call(twice, counters, NOW) is None
    assert counters["a"].used(NOW) == 1
    denial = take_call(twice, counters, NOW)
    assert denial is not None
    assert denial.index == 1


def test_a_carried_counter_is_read_but_not_counted() -> None:
    request = CounterRequest("own", 2, 60, carried=(Carried("everyone", 60),))
    counters = loaded(request)
    counters["everyone"].take(1, NOW)
    assert take_call([request], counters, NOW) is None
    assert take_call([request], counters, NOW) is not None
    assert {key: counter.used(NOW) for key, counter in counters.items()} == {"own": 1, "everyone": 1}


def test_a_counter_has_one_window() -> None:
    assert windows_by_key([CounterRequest("a", 2, 60, carried=(Carried("b", 60),))]) == {"a": 60, "b": 60}
    with pytest.raises(ValueError, match="only one window"):
        windows_by_key([CounterRequest("a", 2, 60), CounterRequest("b", 2, 30, carried=(Carried("a", 30),))])


def test_a_row_restores_its_counter_and_an_empty_row_a_new_one() -> None:
    counter = LoadedCounter("a", 60)
    counter.take(3, NOW)
    row = row_of(counter)
    assert LoadedCounter.unpack("a", 60, row.slot, row.counts).used(NOW) == 3
    assert row.expires_at == counter.expires_at > NOW
    assert LoadedCounter.unpack("a", 60, EMPTY_ROW.slot, EMPTY_ROW.counts).used(NOW) == 0
