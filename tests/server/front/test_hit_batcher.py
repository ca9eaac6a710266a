"""Hits are counted in rounds, with a real Valkey that all processes share, and while it is stopped."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import Throttled
from limits import quick_throttle
from limits.quick_throttle import Hit, QuickThrottle
from limits.throttle import Subject
from server.front.hit_batcher import HitBatcher
from tests.servers import Valkey

SUBJECT = Subject("address:192.0.2.1")
THROTTLE = QuickThrottle("rounds", "20/hour")


@pytest.fixture
def valkey(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Yield a Valkey that counts, with the timeouts of the settings."""
    valkey = Valkey()
    timeouts = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
    client = redis.Redis.from_url(valkey.url, **timeouts)
    settings.REDIS_URL = valkey.url
    monkeypatch.setattr(quick_throttle, "get_redis_connection", lambda: client)
    yield valkey
    client.close()
    valkey.stop()


def in_thread[T](function: Any) -> asyncio.Future[T]:
    return asyncio.ensure_future(asyncio.to_thread(function))


def rounds() -> HitBatcher:
    return HitBatcher(THROTTLE.hit_all, in_thread)


async def passed(*each: HitBatcher, hits: int) -> int:
    """Return how many hits pass that arrive at once, spread over `each`."""
    answers = [each[number % len(each)].hit(Hit([SUBJECT])) for number in range(hits)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), Throttled}
    return outcomes.count(None)


async def test_all_hits_that_arrive_during_a_round_are_the_next_one() -> None:
    sizes, release = [], threading.Event()

    def count(hits: Sequence[Hit]) -> list[None]:
        sizes.append(len(hits))
        release.wait(10)
        return [None] * len(hits)

    counted = HitBatcher(count, in_thread)
    first = counted.hit(Hit([SUBJECT]))
    while not sizes:
        await asyncio.sleep(0.001)
    others = [counted.hit(Hit([SUBJECT])) for _ in range(9)]
    release.set()
    await asyncio.gather(first, *others)
    await counted.hit(Hit([SUBJECT]))

    assert sizes == [1, 9, 1]


async def test_an_unexpected_error_refuses_the_round_and_the_next_one_is_counted() -> None:
    def count(hits: Sequence[Hit]) -> list[None]:
        if hits[0].number == 1:
            raise RuntimeError("boom")
        return [None] * len(hits)

    counted = HitBatcher(count, in_thread)
    with pytest.raises(RuntimeError):
        await counted.hit(Hit([SUBJECT]))
    await counted.hit(Hit([SUBJECT], 2))


async def test_processes_allow_exactly_the_limit_together(valkey: Valkey) -> None:
    assert await passed(rounds(), rounds(), rounds(), hits=200) == 20
    assert await passed(rounds(), hits=5) == 0
    assert not quick_throttle._memories[THROTTLE.name, 3600].slices


async def test_200_hits_need_few_calls(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    add = quick_throttle._add_in_redis
    monkeypatch.setattr(quick_throttle, "_add_in_redis", lambda *given: [calls.append(1), add(*given)][1])
    assert await passed(rounds(), hits=200) == 20
    assert len(calls) <= 4  # the first hit and all others, and what was refused


async def test_the_process_counts_on_when_valkey_is_killed(valkey: Valkey) -> None:
    counted = rounds()
    assert await passed(counted, hits=10) == 10
    valkey.kill()
    assert await passed(counted, hits=200) == 20
    assert await passed(counted, hits=200) == 0


async def test_a_valkey_that_hangs_delays_one_round(valkey: Valkey) -> None:
    counted = rounds()
    assert await passed(counted, hits=10) == 10
    os.kill(valkey.pid or 0, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert await passed(counted, hits=200) == 20
        assert await passed(counted, hits=200) == 0
        assert time.monotonic() - began < 3
    finally:
        os.kill(valkey.pid or 0, signal.SIGCONT)
