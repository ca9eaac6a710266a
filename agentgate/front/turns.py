"""Turns of callers whose requests take long to parse (docs/adr/0067)."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from agentgate.front.pool import Pool, PoolFull, Work


class Queues[Item]:
    """What waits, and comes out in turn by caller, so that many requests of one delay another's by one of them."""

    def __init__(self) -> None:
        self._by_caller: dict[str, deque[Item]] = {}
        self.number = 0

    def number_of(self, caller: str) -> int:
        return len(self._by_caller.get(caller, ()))

    def add(self, caller: str, item: Item) -> None:
        self._by_caller.setdefault(caller, deque()).append(item)
        self.number += 1

    def take(self) -> Item:
        """Remove an item of the caller whose turn it is, which then is behind all others."""
        caller = next(iter(self._by_caller))
        own = self._by_caller.pop(caller)
        item = own.popleft()
        if own:
            self._by_caller[caller] = own
        self.number -= 1
        return item


class OneByOne:
    """Work in the event loop: one piece in each turn of the loop, which reads all other requests in between.

    The connections bound how much waits.
    """

    def __init__(self) -> None:
        self._waiting: Queues[Callable[[], object]] = Queues()

    def add(self, caller: str, work: Callable[[], object]) -> None:
        self._waiting.add(caller, work)
        if self._waiting.number == 1:
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        work = self._waiting.take()
        if self._waiting.number:
            asyncio.get_running_loop().call_soon(self._work)
        work()


class FewThreads:
    """Work in few threads of its own. Of each caller, a part of `most` may wait."""

    def __init__(self, threads: int, most: int, share: int) -> None:
        self._pool = Pool(threads, queue=0)
        self._idle = threads
        self._most = most
        self._share = share
        self._waiting: Queues[Work] = Queues()

    @property
    def waiting(self) -> int:
        return self._waiting.number

    def submit(self, caller: str, work: Work) -> None:
        """Like `Pool.submit`. Raises `PoolFull`."""
        if self.waiting >= self._most or self._waiting.number_of(caller) >= self._share:
            raise PoolFull
        self._waiting.add(caller, work)
        self._start()

    def stop(self) -> None:
        self._pool.stop()

    def _start(self) -> None:
        if self._idle and self._waiting.number:
            self._idle -= 1
            self._pool.submit(partial(self._work, self._waiting.take()))

    def _work(self, work: Work) -> Callable[[], object]:
        return partial(self._finish, work())

    def _finish(self, finish: Callable[[], object]) -> None:
        self._idle += 1
        try:
            finish()
        finally:
            self._start()
