"""The bounded thread pool."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest

from core.pool import Pool, PoolFull


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(threads=1, queue=1)
    yield pool
    pool.stop()


async def test_it_returns_the_result(pool: Pool) -> None:
    assert await pool.call(lambda: 7) == 7


async def test_it_raises_what_the_function_raises(pool: Pool) -> None:
    def fail() -> None:
        raise LookupError("absent")

    with pytest.raises(LookupError, match="absent"):
        await pool.call(fail)
    assert await pool.call(lambda: 7) == 7


async def test_work_beyond_the_queue_is_refused_until_there_is_room(pool: Pool) -> None:
    release = threading.Event()
    running, waiting = pool.call(release.wait), pool.call(lambda: "waited")
    with pytest.raises(PoolFull):
        pool.submit(lambda: pytest.fail)

    release.set()
    assert (await running, await waiting) == (True, "waited")
    accepted = asyncio.get_running_loop().create_future()
    pool.submit(lambda: partial(accepted.set_result, "accepted"))
    assert await accepted == "accepted"


async def test_a_cancelled_caller_does_not_end_the_thread(pool: Pool) -> None:
    release = threading.Event()
    future = pool.call(release.wait)
    future.cancel()
    release.set()

    assert await pool.call(lambda: 7) == 7


async def test_it_stops_after_the_waiting_work() -> None:
    pool = Pool(threads=2, queue=8)
    results = [pool.call(lambda number=number: number) for number in range(8)]  # type: ignore[misc]
    pool.stop()

    assert [await each for each in results] == list(range(8))
