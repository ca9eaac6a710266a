"""Turns of callers whose requests take long to parse (docs/adr/0067)."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from core.pool import Pool, PoolFull, Work
from server.front.bounds import MAX_CONNECTIONS
from server.front.exchange import Exchange


class FairQueue[Item]:
    """What waits, and comes out in turn by caller, so that many requests of one delay another's by one of them."""

    def __init__(self) -> None:
        self._by_caller: dict[str, deque[Item]] = {}
        self.number = 0

    @property
    def callers(self) -> Iterable[str]:
        """Those for whom something waits, in the order of their turns."""
        return self._by_caller

    def number_of(self, caller: str) -> int:
        return len(self._by_caller.get(caller, ()))

    def add(self, caller: str, item: Item) -> None:
        self._by_caller.setdefault(caller, deque()).append(item)
        self.number += 1

    def items_of(self, caller: str) -> Iterable[Item]:
        return self._by_caller[caller]

    def take(self) -> Item:
        """Remove the first item of the caller whose turn it is, who then is behind all others."""
        caller = next(iter(self._by_caller))
        item = self._by_caller[caller][0]
        self.remove(caller, item)
        return item

    def remove(self, caller: str, item: Item) -> None:
        """Remove an item. Its caller then is behind all others."""
        own = self._by_caller.pop(caller)
        own.remove(item)
        if own:
            self._by_caller[caller] = own
        self.number -= 1

    def remove_where(self, condition: Callable[[Item], bool]) -> list[Item]:
        """Remove and return the items that meet the condition. The turns stay as they are."""
        removed = [item for own in self._by_caller.values() for item in own if condition(item)]
        if removed:
            kept = {caller: deque(one for one in own if not condition(one)) for caller, own in self._by_caller.items()}
            self._by_caller = {caller: own for caller, own in kept.items() if own}
            self.number -= len(removed)
        return removed


class LoopWorker:
    """Work in the event loop: one piece in each turn of the loop, which reads all other requests in between.

    The connections bound how much waits.
    """

    def __init__(self) -> None:
        self._waiting: FairQueue[Callable[[], object]] = FairQueue()

    def add(self, caller: str, work: Callable[[], object]) -> None:
        self._waiting.add(caller, work)
        if self._waiting.number == 1:
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        work = self._waiting.take()
        if self._waiting.number:
            asyncio.get_running_loop().call_soon(self._work)
        work()


class Waiting(NamedTuple):
    """Work that waits for a thread. `agent` is the client that its request names, or ""."""

    work: Work
    agent: str
    exchange: Exchange | None


class FairPool:
    """Work in threads of its own. At most `computing` of them compute at a time, and the others wait for decisions.

    A caller gets another thread only if it has fewer than are idle, and fewer than `each`. So does an agent, however
    many callers name it. Each thus leaves half of the threads that it found, however long its work waits (dynamic
    thresholds, Choudhury and Hahne 1998; docs/adr/0118). The same holds for the `most` places in which pieces wait for
    a thread, except that those of the caller and those of the agent count together.
    """

    def __init__(self, threads: int, computing: int, most: int, each: int | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(threads, queue=MAX_CONNECTIONS)  # of which each has at most one piece in `call`
        self._idle = threads
        self._most_computing = computing
        self._each = threads if each is None else each
        self._computing = 0
        self._threads_of: Counter[str] = Counter()
        self._threads_for: Counter[str] = Counter()
        self._most = most
        self._waiting: FairQueue[Waiting] = FairQueue()
        self._waiting_for: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        return self._waiting.number

    def submit(self, caller: str, work: Work, agent: str = "", exchange: Exchange | None = None) -> None:
        """Like `Pool.submit`. `expire` ends the `exchange` if no thread is free in time. Raises `PoolFull`."""
        if self._waiting.number_of(caller) + self._waiting_for[agent] >= self._most - self.waiting:
            raise PoolFull
        self._waiting.add(caller, Waiting(work, agent, exchange))
        _count(self._waiting_for, agent, 1)
        self._start()

    def expire(self) -> None:
        """Refuse the requests that have waited for too long, and forget those whose clients have disconnected."""
        for one in self._waiting.remove_where(lambda one: one.exchange is not None and one.exchange.is_over):
            _count(self._waiting_for, one.agent, -1)
            if one.exchange is not None:
                one.exchange.end()

    def waiting_for[T](self, answer: Callable[[], T]) -> T:
        """Return what `answer` does, which waits. Meanwhile, another thread may compute. Call it in one of these."""
        self._loop.call_soon_threadsafe(self._pause)
        try:
            return answer()
        finally:
            self._loop.call_soon_threadsafe(self._resume)

    def call[T](self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Like `Pool.call`: run `function` in the next free thread, without a turn. It must not take long."""
        return self._pool.call(function)

    def stop(self) -> None:
        self._pool.stop()

    def _start(self) -> None:
        while self._idle and self._computing < self._most_computing:
            found = self._next()
            if found is None:
                return
            caller, waiting = found
            self._waiting.remove(caller, waiting)
            _count(self._waiting_for, waiting.agent, -1)
            self._idle -= 1
            self._computing += 1
            _count(self._threads_of, caller, 1)
            _count(self._threads_for, waiting.agent, 1)
            self._pool.submit(partial(self._work, caller, waiting))

    def _next(self) -> tuple[str, Waiting] | None:
        """Return the first work whose caller and agent may have another thread."""
        most = min(self._each, self._idle)
        for caller in self._waiting.callers:
            if self._threads_of[caller] < most:
                for waiting in self._waiting.items_of(caller):
                    if self._threads_for[waiting.agent] < most:
                        return caller, waiting
        return None

    def _work(self, caller: str, waiting: Waiting) -> Callable[[], object]:
        return partial(self._finish, caller, waiting.agent, waiting.work())

    def _pause(self) -> None:
        self._computing -= 1
        self._start()

    def _resume(self) -> None:
        self._computing += 1

    def _finish(self, caller: str, agent: str, finish: Callable[[], object]) -> None:
        self._idle += 1
        self._computing -= 1
        _count(self._threads_of, caller, -1)
        _count(self._threads_for, agent, -1)
        try:
            finish()
        finally:
            self._start()


def _count(counter: Counter[str], name: str, change: int) -> None:
    """Count what has this name. What has none, or no longer any, takes no memory."""
    if name:
        counter[name] += change
        if not counter[name]:
            del counter[name]
