"""A bounded thread pool for work that blocks. Python's own has a queue without a limit."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from django.db import close_old_connections

Work = Callable[[], None]


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

    def submit(self, work: Work) -> None:
        """Run `work`, which must not raise, in a thread. Raises `PoolFull`."""
        if self._unfinished >= self._limit:
            raise PoolFull
        self._unfinished += 1
        self._queue.put(work)

    def run[T](self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run `function`, which may use the database, in a thread. Raises `PoolFull`."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.submit(lambda: self._fulfil(future, function))
        return future

    def stop(self) -> None:
        """End each thread after the work that is already waiting. Does not wait for them."""
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while work := self._queue.get():
            try:
                work()
            finally:
                self._call(self._finished)

    def _finished(self) -> None:
        self._unfinished -= 1

    def _fulfil[T](self, future: asyncio.Future[T], function: Callable[[], T]) -> None:
        close_old_connections()
        try:
            result = function()
        except Exception as error:
            self._call(_settle, future.set_exception, future, error)
        else:
            self._call(_settle, future.set_result, future, result)
        finally:
            close_old_connections()

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, because the process ends while a thread still works
            self._loop.call_soon_threadsafe(function, *arguments)


def _settle(settle: Callable[[Any], None], future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        settle(value)
