"""How long decisions took is saved from the histograms of the processes, each value once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connections
from prometheus_client import CollectorRegistry

from agentgate.front import latency as front
from agentgate.front.pool import Pool
from core.metrics import DECISION_BUCKETS, BulkHistogram, decision_seconds
from insights import latency
from insights.latency import Percentiles, Saver, latency_numbers, percentiles, together
from insights.models import Latency
from insights.windows import DAY, Window
from tests.threads import race

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(NOW.replace(minute=0) - HOUR, NOW.replace(minute=0) + HOUR)


def histogram() -> BulkHistogram:
    return BulkHistogram("seconds", "", buckets=DECISION_BUCKETS, registry=CollectorRegistry())


def saved() -> dict[int, int]:
    return dict(Latency.objects.values_list("bound", "number"))


@pytest.fixture(autouse=True)
def traveller() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


def test_each_value_is_saved_once_in_the_hour_in_which_it_is_saved(
    traveller: Any,
) -> None:
    measured = histogram()
    measured.observe_all([0.0004])  # before the process saves for the first time
    saver = Saver(measured)
    measured.observe_all([0.0009, 0.0015, 99.0])
    assert saver.save() == 3
    assert saver.save() == 0
    traveller.shift(HOUR)
    measured.observe_all([0.0015])
    assert saver.save() == 1

    rows = set(Latency.objects.values_list("start", "bound", "number"))
    hour = NOW.replace(minute=0)
    assert rows == {(hour, 1000, 1), (hour, 2000, 1), (hour, Latency.LONGER, 1), (hour + HOUR, 2000, 1)}


@pytest.mark.django_db(transaction=True)
def test_processes_at_once_add_up() -> None:
    savers = []
    for _ in range(4):
        measured = histogram()
        savers.append(Saver(measured))
        measured.observe_all([0.0009, 0.0015])
    race([saver.save for saver in savers])
    assert saved() == {1000: 4, 2000: 4}


def test_what_could_not_be_saved_is_saved_later(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = histogram()
    saver = Saver(measured)
    measured.observe_all([0.0009])

    def fail(numbers: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(latency, "_add", fail)
        with pytest.raises(DatabaseError):
            saver.save()
    assert saver.save() == 1


def test_percentiles_are_estimated_within_their_bucket() -> None:
    found = percentiles({1000: 50, 2000: 45, 3000: 4, Latency.LONGER: 1})
    assert found == Percentiles(0.001, 0.002, 0.003)
    assert percentiles({2000: 100}) == Percentiles(0.0015, 0.00195, 0.00199)
    assert percentiles({Latency.LONGER: 1}) == Percentiles(5.0, 5.0, 5.0)
    assert percentiles({}) is None


def test_each_step_of_a_window_has_its_histogram(django_assert_num_queries: Any) -> None:
    for start, number in ((WINDOW.since - HOUR, 3), (WINDOW.since, 5), (WINDOW.since + HOUR, 7), (WINDOW.until, 9)):
        Latency.objects.create(start=start, bound=2000, number=number)
    with django_assert_num_queries(1):
        before, found = latency_numbers(WINDOW, WINDOW.since - HOUR)
    assert before == {2000: 3}
    assert found == [{2000: 5}, {2000: 7}]
    assert together(found) == {2000: 12}
    assert latency_numbers(Window(WINDOW.since, WINDOW.until, 2 * HOUR), WINDOW.since) == ({}, [{2000: 12}])


@pytest.mark.parametrize("number", range(1, 10))
def test_any_number_of_steps_are_told_apart(number: int) -> None:
    window = Window(WINDOW.since, WINDOW.since + number * DAY, DAY)
    for place, start in enumerate(window.starts()):
        Latency.objects.create(start=start, bound=1000, number=place + 1)
        Latency.objects.create(start=start + DAY - HOUR, bound=2000, number=place + 10)
    found = latency_numbers(window, window.since)
    assert found == ({}, [{1000: place + 1, 2000: place + 10} for place in range(number)])


@pytest.mark.django_db(transaction=True)
def test_a_server_process_saves_regularly_and_when_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "INTERVAL_SECONDS", 0.01)

    async def serve() -> None:
        pool = Pool(threads=1, queue=0)
        saver = front.LatencySaver(pool)
        decision_seconds.observe_all([0.0009])
        while not await pool.call(saved):
            await asyncio.sleep(0.01)
        monkeypatch.setattr(front, "INTERVAL_SECONDS", 60.0)
        await asyncio.sleep(0.1)
        decision_seconds.observe_all([0.0009])
        await saver.stop()
        await pool.call(front.with_connections(lambda: None))
        await pool.call(connections.close_all)
        pool.stop()

    asyncio.run(asyncio.wait_for(serve(), 20))
    assert saved() == {1000: 2}


def test_a_database_that_fails_does_not_end_the_saving(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(saver: Saver) -> int:
        raise DatabaseError("disk full\nDETAIL")

    monkeypatch.setattr(Saver, "save", fail)

    async def serve() -> None:
        pool = Pool(threads=1, queue=0)
        await front.LatencySaver(pool).stop()
        pool.stop()

    asyncio.run(serve())
    assert caplog.messages == ["The latency of decisions was not saved: disk full"]
