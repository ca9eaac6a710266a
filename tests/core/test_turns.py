"""Writers on SQLite take turns: threads in the order in which they came, and the event loop before all of them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.turns import TurnLock
from tests.waiting import wait_until

SECONDS = 10.0


class Turns:
    """A lock and the order in which its waiters got it."""

    def __init__(self) -> None:
        self.lock = TurnLock()
        self.order: list[str] = []
        self._threads: list[threading.Thread] = []

    def queue(self, name: str) -> None:
        """Let another thread wait for the lock, and return once it waits."""
        before = len(self.lock._waiting)
        thread = threading.Thread(target=self._take, args=(name,))
        thread.start()
        self._threads.append(thread)
        wait_until(lambda: len(self.lock._waiting) > before)

    def _take(self, name: str) -> None:
        if self.lock.acquire(SECONDS):
            self.order.append(name)
            self.lock.release()

    def join(self) -> list[str]:
        for thread in self._threads:
            thread.join(SECONDS)
        assert not self.lock._is_held
        return self.order


@pytest.fixture
def turns() -> Turns:
    return Turns()


@contextmanager
def held(lock: TurnLock) -> Iterator[None]:
    assert lock.acquire(0)
    try:
        yield
    finally:
        lock.release()


def test_threads_get_it_in_the_order_in_which_they_came(turns: Turns) -> None:
    with held(turns.lock):
        for name in "abcd":
            turns.queue(name)
    assert turns.join() == list("abcd")


async def test_the_event_loop_is_next_however_many_threads_wait(turns: Turns) -> None:
    assert turns.lock.acquire(0)
    for name in "abc":
        turns.queue(name)
    waiting = asyncio.ensure_future(turns.lock.acquire_first(SECONDS))
    await asyncio.sleep(0)
    turns.lock.release()
    assert await waiting
    assert turns.order == []
    turns.lock.release()
    assert await asyncio.to_thread(turns.join) == list("abc")


async def test_a_waiting_thread_is_next_when_the_event_loop_asks_again(turns: Turns) -> None:
    assert await turns.lock.acquire_first(0)
    turns.queue("a")
    turns.lock.release()
    assert await turns.lock.acquire_first(SECONDS)
    assert turns.order == ["a"]
    turns.lock.release()
    await asyncio.to_thread(turns.join)


def test_a_thread_that_gives_up_is_passed_over(turns: Turns) -> None:
    with held(turns.lock):
        assert not turns.lock.acquire(0.01)
        turns.queue("later")
    assert turns.join() == ["later"]


async def test_an_event_loop_that_gives_up_is_passed_over(turns: Turns) -> None:
    with held(turns.lock):
        assert not await turns.lock.acquire_first(0.01)
        cancelled = asyncio.ensure_future(turns.lock.acquire_first(SECONDS))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        turns.queue("later")
    assert await asyncio.to_thread(turns.join) == ["later"]


async def test_a_turn_that_comes_while_the_event_loop_gives_up_is_not_lost(turns: Turns) -> None:
    assert turns.lock.acquire(0)
    waiting = asyncio.ensure_future(turns.lock.acquire_first(SECONDS))
    await asyncio.sleep(0)
    turns.lock.release()  # hands it over
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with held(turns.lock):
        pass
