"""The throttle without database writes: with Redis, without it, and while it is unreachable."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import time_machine
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import Throttled
from limits import quick_throttle
from limits.quick_throttle import Hit, QuickThrottle
from limits.throttle import Subject
from tests.samples import sample
from tests.servers import free_port
from tests.shared import cases

THROTTLE = QuickThrottle("test", "3/minute")
SUBJECT, OTHER = Subject("address:192.0.2.1"), Subject("address:192.0.2.2", 2)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 3, 23, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def passed(times: int, *subjects: Subject, number: int = 1) -> int:
    """Return how many of `times` hits passed."""
    count = 0
    for _ in range(times):
        try:
            THROTTLE.hit(*(subjects or [SUBJECT]), number=number)
        except Throttled:
            continue
        count += 1
    return count


@pytest.fixture
def no_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make Redis refuse connections. Return the times of the attempts to connect."""
    asked: list[float] = []
    away = redis.Redis(port=free_port(), socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))

    def connect() -> redis.Redis:
        asked.append(time.monotonic())
        return away

    settings.REDIS_URL = "redis://away"
    monkeypatch.setattr(quick_throttle, "get_redis_connection", connect)
    return asked


def test_a_subject_can_have_a_multiple_of_the_rate_and_one_full_subject_refuses_the_hit() -> None:
    assert passed(2, SUBJECT, OTHER) == 2
    assert passed(4, OTHER) == 4
    assert passed(1, SUBJECT, OTHER) == 0
    assert passed(2, SUBJECT) == 1


def test_a_number_counts_completely_or_not_at_all() -> None:
    assert passed(1, number=2) == 1
    assert passed(1, number=2) == 0
    assert passed(2, number=1) == 1


def test_hits_that_are_counted_together_are_decided_in_order() -> None:
    hits = [Hit([SUBJECT], number) for number in (1, 3, 1, 1, 1)]
    assert [refusal is None for refusal in THROTTLE.hit_all(hits)] == [True, False, True, True, False]
    assert passed(1) == 0


def test_a_refused_hit_takes_no_room_from_those_after_it() -> None:
    """The first subject has room for both, the second for one."""
    hits = [Hit([OTHER, SUBJECT], 3), Hit([OTHER, SUBJECT], 1), Hit([OTHER], 3)]
    assert [refusal is None for refusal in THROTTLE.hit_all(hits)] == [True, False, True]
    assert passed(1, OTHER) == 0


def test_refusals_are_counted_by_throttle() -> None:
    before = sample("agentgate_throttled_total", throttle="test")
    assert passed(5) == 3
    assert sample("agentgate_throttled_total", throttle="test") == before + 2


def test_a_number_above_the_limit_never_fits() -> None:
    with pytest.raises(Throttled) as caught:
        THROTTLE.hit(SUBJECT, number=4)
    assert caught.value.retry_after == 60


def test_the_refusal_has_the_time_until_the_hit_fits(clock: time_machine.Traveller) -> None:
    for _ in range(3):
        THROTTLE.hit(SUBJECT)
        clock.shift(timedelta(seconds=10))
    with pytest.raises(Throttled) as caught:
        THROTTLE.hit(SUBJECT, number=2)
    clock.shift(timedelta(seconds=caught.value.retry_after - 1))
    assert passed(1, number=2) == 0
    clock.shift(timedelta(seconds=1))
    assert passed(1, number=2) == 1


def test_the_process_counts_without_redis(no_redis: list[float]) -> None:
    assert passed(10) == 3


def test_an_unreachable_redis_is_rarely_asked(no_redis: list[float]) -> None:
    passed(50)
    assert len(no_redis) == 1


def test_redis_is_asked_again_after_the_pause(no_redis: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    passed(1)
    later = time.monotonic() + quick_throttle.REDIS_PAUSE_SECONDS
    monkeypatch.setattr(quick_throttle.time, "monotonic", lambda: later)
    passed(1)
    assert len(no_redis) == 2


def test_subjects_above_the_maximum_share_one_count(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(quick_throttle, "MAX_SUBJECTS", 10)
    assert sum(passed(1, Subject(f"address:{number}")) for number in range(100)) == 13
    assert passed(3, Subject("address:0")) == 2


def test_expired_slices_are_deleted(settings: Any, clock: time_machine.Traveller) -> None:
    settings.REDIS_URL = ""
    for number in range(20):
        passed(1, Subject(f"address:{number}"))
        clock.shift(timedelta(seconds=30))
    assert sum(map(len, quick_throttle.memory_of(THROTTLE.name, 60).slices.values())) <= 3


@cases("number", [0, -1])
def test_a_number_below_1_is_an_error(number: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        THROTTLE.hit(SUBJECT, number=number)
