"""Sweeps repeat until a batch is short or the time is up, and skip what another transaction has locked."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from core import sweeps
from core.models import IdempotencyRecord
from core.sweeps import BATCH, delete_batch, sweep
from core.tasks import sweep_idempotency_records
from tests.threads import beside_lock

pytestmark = pytest.mark.postgresql

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that moves only when a batch takes its time or the sweep sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sweeps, "time", clock)
    return clock


class Rows:
    """Some rows of which each batch deletes up to its limit."""

    def __init__(self, count: int, clock: Clock, seconds: float = 0.0) -> None:
        self.left, self.clock, self.seconds, self.batches = count, clock, seconds, 0

    def delete(self, *, limit: int) -> int:
        deleted = min(self.left, limit)
        self.left -= deleted
        self.batches += 1
        self.clock.now += self.seconds
        return deleted


def test_a_sweep_repeats_until_a_batch_is_short(clock: Clock) -> None:
    rows = Rows(3 * BATCH + 1, clock)
    assert sweep(rows.delete) == 3 * BATCH + 1
    assert rows.batches == 4


def test_kinds_of_rows_take_turns_until_each_has_a_short_batch(clock: Clock) -> None:
    few, many = Rows(1, clock), Rows(2 * BATCH, clock)
    assert sweep(few.delete, many.delete) == 2 * BATCH + 1
    assert (few.batches, many.batches) == (1, 3)


def test_a_sweep_ends_in_time_and_the_next_one_goes_on(clock: Clock) -> None:
    rows = Rows(1000 * BATCH, clock, seconds=1.0)
    first = sweep(rows.delete)
    assert clock.now < sweeps.SECONDS + 2
    assert 0 < first < 1000 * BATCH
    assert sweep(rows.delete) == first


def test_a_sweep_rests_after_each_full_batch(clock: Clock) -> None:
    sweep(Rows(2 * BATCH + 1, clock, seconds=0.25).delete)
    rest = 0.25 if connection.vendor == "sqlite" else 0.0625
    assert clock.slept == [rest, rest]


def add_records(count: int) -> None:
    IdempotencyRecord.objects.bulk_create(
        IdempotencyRecord(key=f"{number:05}", request_digest="", expires_at=LONG_AGO + timedelta(seconds=number))
        for number in range(count)
    )


@pytest.mark.django_db
def test_a_task_deletes_more_than_one_batch() -> None:
    add_records(BATCH + 2)
    assert sweep_idempotency_records() == BATCH + 2
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
def test_a_batch_deletes_the_oldest_rows() -> None:
    add_records(5)
    assert delete_batch(IdempotencyRecord.objects.order_by("expires_at"), limit=3) == 3
    assert set(IdempotencyRecord.objects.values_list("key", flat=True)) == {"00003", "00004"}


@pytest.mark.django_db(transaction=True)
def test_a_batch_leaves_rows_that_another_transaction_has_locked() -> None:
    add_records(4)
    held = IdempotencyRecord.objects.select_for_update().filter(key="00001")
    oldest = IdempotencyRecord.objects.order_by("expires_at")
    assert beside_lock(held, lambda: delete_batch(oldest, limit=2)) == 2
    left = set(IdempotencyRecord.objects.values_list("key", flat=True))
    assert left == ({"00001", "00003"} if connection.vendor == "postgresql" else {"00002", "00003"})
