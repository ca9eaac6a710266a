"""A bounded thread pool for work that blocks. Python's own has a queue without a limit."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

from django.db import close_old_connections, connections

# Runs in a thread and returns what the event loop calls next.
Work = Callable[[], Callable[[], object]]


class PoolFull(Exception):
    """All threads are busy, and the queue is full."""


class Pool:
    """`threads` threads, and at most `queue` pieces of work that wait for one. Use it from one event loop only."""

    def __init__(self, threads: int, queue: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._limit = threads + queue
        self._unfinished = 0
        # Daemons, so that a view that never returns does not keep the process alive after the graceful stop.
        self._threads = [threading.Thread(target=self._work, name=f"pool-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """The number of pieces of work that wait for a thread."""
        return max(0, self._unfinished - len(self._threads))

    def submit(self, work: Work) -> None:
        """Run `work`, which must not raise, in a thread, and then what it returns in the event loop.

        Raises `PoolFull`.
        """
        if self._unfinished >= self._limit:
            raise PoolFull
        self._unfinished += 1
        self._queue.put(work)

    def call[T](self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run `function` in a thread. It is never refused, so its caller must await each call before the next."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._unfinished += 1
        self._queue.put(partial(_run, future, function))
        return future

    def stop(self) -> None:
        """End each thread, with its database connections, after the work that is already waiting.

        Does not wait for them.
        """
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while work := self._queue.get():
            finish = work()
            with suppress(RuntimeError):  # the loop is closed, because the process ends while a thread still works
                self._loop.call_soon_threadsafe(self._finish, finish)
        connections.close_all()

    def _finish(self, finish: Callable[[], object]) -> None:
        self._unfinished -= 1
        finish()


def with_connections[T](function: Callable[[], T]) -> Callable[[], T]:
    """Wrap `function`: close database connections that are broken or too old, as Django does around a request."""

    def wrapped() -> T:
        close_old_connections()
        try:
            return function()
        finally:
            close_old_connections()

    return wrapped


def _run(future: asyncio.Future[Any], function: Callable[[], Any]) -> Callable[[], object]:
    try:
        result = function()
    except Exception as error:
        return partial(_settle, future, future.set_exception, error)
    return partial(_settle, future, future.set_result, result)


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)
