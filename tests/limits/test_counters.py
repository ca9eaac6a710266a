import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError

from limits.counters import delete_idle_counters, lock_counters, read_counters, save_counters, take_all
from limits.counting import CounterDenial
from limits.models import Counter
from limits.sliding_window import CounterRequest
from tests.threads import race

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)
THREADS = 4

pytestmark = pytest.mark.django_db


def request(key: str = "a", limit: int = 2, window_seconds: int = 60) -> CounterRequest:
    return CounterRequest(key, limit, window_seconds)


def take(*calls: list[CounterRequest], now: datetime = NOW) -> list[CounterDenial | None]:
    with transaction.atomic():
        return take_all(calls, lambda: now)


def used(key: str, now: datetime = NOW) -> int:
    return read_counters([request(key)])[key].used(now)


def in_threads(work: Callable[[int], None]) -> None:
    """Run `work(number)` in several threads at once."""
    race([partial(work, number) for number in range(THREADS)])


def test_exactly_as_many_calls_as_the_limit_pass() -> None:
    assert [take([request(limit=3)])[0] is None for _ in range(5)] == [True, True, True, False, False]
    assert used("a") == 3


def test_a_batch_is_counted_in_order() -> None:
    denials = take([request("a")], [request("b", limit=1)], [request("a")], [request("a")], [request("b")])

    assert [denial is None for denial in denials] == [True, True, True, False, True]


def test_a_call_counts_against_all_its_limits_or_none() -> None:
    take([request("b", limit=1)])

    (denial,) = take([request("a"), request("b", limit=1), request("c")])

    assert denial
    assert denial.index == 1
    assert (used("a"), used("b"), used("c")) == (0, 1, 0)


def test_a_denied_call_leaves_room_for_the_next_call() -> None:
    take([request("b", limit=1)])

    denials = take([request("a", limit=1), request("b", limit=1)], [request("a", limit=1)])

    assert [denial is None for denial in denials] == [False, True]


def test_a_denial_has_the_first_full_counter_and_the_longest_wait() -> None:
    hour = request("hour", limit=1, window_seconds=3600)
    minute = request("minute", limit=1, window_seconds=60)
    take([minute, hour])

    (denial,) = take([request("free"), minute, hour])

    assert denial
    assert denial.index == 1
    assert denial.retry_after_seconds
    assert 3600 <= denial.retry_after_seconds <= 3600 + 3600 // 64 + 1


def test_after_the_wait_the_call_fits() -> None:
    take([request(limit=1)])
    (denial,) = take([request(limit=1)], now=NOW + timedelta(seconds=10))
    assert denial
    assert denial.retry_after_seconds

    later = NOW + timedelta(seconds=10 + denial.retry_after_seconds)

    assert take([request(limit=1)], now=later) == [None]


def test_a_counter_requested_twice_counts_once_with_the_lower_limit() -> None:
    call = [request("a", limit=5), request("a", limit=2)]

    assert [take(call)[0] is None for _ in range(3)] == [True, True, False]
    assert used("a") == 2


def test_a_raised_limit_adds_only_the_difference() -> None:
    take(*[[request(limit=2)]] * 2)

    assert [denial is None for denial in take(*[[request(limit=3)]] * 2)] == [True, False]


def test_calls_without_limits_run_no_query(django_assert_num_queries: Callable[[int], object]) -> None:
    with transaction.atomic(), django_assert_num_queries(0):  # type: ignore[attr-defined]
        assert take_all([[], []], lambda: NOW) == [None, None]


def test_one_statement_locks_a_batch_of_any_size(
    django_assert_num_queries: Callable[[int], object],
) -> None:
    requests = [request(f"key {number}") for number in range(3000)]

    with transaction.atomic():
        with django_assert_num_queries(1):  # type: ignore[attr-defined]
            counters = lock_counters(requests)
        for counter in counters.values():
            counter.take(1, NOW)
        save_counters(counters.values())

    assert len(counters) == Counter.objects.count() == 3000
    assert used("key 2999") == 1


def test_a_rollback_undoes_the_count() -> None:
    def take_and_fail() -> None:
        with transaction.atomic():
            take_all([[request()]], lambda: NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take_and_fail()

    assert used("a") == 0


@pytest.mark.django_db(transaction=True)
def test_locking_counters_requires_a_transaction() -> None:
    with pytest.raises(TransactionManagementError):
        lock_counters([request()])


def test_one_key_with_two_windows_is_an_error() -> None:
    with pytest.raises(ValueError, match="one window"), transaction.atomic():
        lock_counters([request(window_seconds=1), request(window_seconds=2)])


def test_the_clock_is_read_after_the_lock() -> None:
    def read_clock() -> datetime:
        assert connection.in_atomic_block
        assert Counter.objects.filter(key="a").exists()
        return NOW

    with transaction.atomic():
        take_all([[request()]], read_clock)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=40)])
def test_after_a_clock_jump_is_corrected_a_full_counter_denies_for_one_window(jump: timedelta) -> None:
    take(*[[request(limit=2)]] * 2, now=NOW + jump)
    for seconds in range(0, 60, 10):
        assert take([request(limit=2)], now=NOW + timedelta(seconds=seconds))[0] is not None
    assert take([request(limit=2)], now=NOW + timedelta(seconds=61))[0] is None


def test_calls_within_the_hour_do_not_change_the_indexed_column() -> None:
    take([request()])
    before = Counter.objects.get().expires_at
    take([request()], now=NOW + timedelta(minutes=30))

    assert Counter.objects.get().expires_at == before


def test_only_empty_counters_are_deleted() -> None:
    take([request("old")], [request("long", window_seconds=864_000)])
    later = NOW + timedelta(hours=3)
    take([request("new")], now=later)

    assert delete_idle_counters(later, 100) == 1
    assert set(Counter.objects.values_list("key", flat=True)) == {"long", "new"}


def test_a_counter_that_was_never_counted_in_is_deleted() -> None:
    take([request("full", limit=1)])
    take([request("full", limit=1), request("untouched")])

    assert delete_idle_counters(NOW, 100) == 1
    assert not Counter.objects.filter(key="untouched").exists()


def test_a_sweep_deletes_at_most_its_limit() -> None:
    take(*[[request(f"key {number}")] for number in range(5)])

    assert delete_idle_counters(NOW + timedelta(days=1), 3) == 3
    assert Counter.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_exactly_as_many_concurrent_calls_as_the_limit_pass() -> None:
    passed: list[bool] = []

    def work(number: int) -> None:
        for _ in range(16):
            passed.append(take([request(limit=20)])[0] is None)

    in_threads(work)

    assert len(passed) == 64
    assert sum(passed) == used("a") == 20


@pytest.mark.django_db(transaction=True)
def test_overlapping_concurrent_batches_never_deadlock_or_lose_counts() -> None:
    keys = [f"key {number}" for number in range(8)]
    taken: list[str] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(16):
            calls = [[request(key, limit=1000)] for key in chance.choices(keys, k=6)]
            assert take(*calls) == [None] * len(calls)
            taken.extend(call[0].key for call in calls)

    in_threads(work)

    assert {key: used(key) for key in keys} == {key: taken.count(key) for key in keys}


@pytest.mark.django_db(transaction=True)
def test_a_sweep_during_concurrent_calls_loses_no_counts() -> None:
    keys = [f"key {number}" for number in range(4)]

    def work(number: int) -> None:
        for _ in range(16):
            if number == 0:
                delete_idle_counters(NOW, 100)
            else:
                take([request(key, limit=1000) for key in keys])

    in_threads(work)

    assert {used(key) for key in keys} == {(THREADS - 1) * 16}


@pytest.mark.django_db(transaction=True)
def test_a_sweep_of_locked_counters_never_deadlocks() -> None:
    keys = [f"key {number}" for number in range(16)]

    def work(number: int) -> None:
        for _ in range(16):
            if number == 0:
                delete_idle_counters(NOW + timedelta(days=1), 100)
            else:
                take([request(key, limit=1000) for key in keys])

    in_threads(work)


@pytest.fixture(autouse=True)
def _no_counters_left() -> Iterator[None]:
    yield
    Counter.objects.all().delete()
