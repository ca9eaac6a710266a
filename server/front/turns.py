"""Turns of callers whose requests take long to parse (docs/adr/0067)."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial

from core.pool import Pool, PoolFull, Work


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

    def take(self, caller: str | None = None) -> Item:
        """Remove an item of this caller or of the one whose turn it is, which then is behind all others."""
        caller = next(iter(self._by_caller)) if caller is None else caller
        own = self._by_caller.pop(caller)
        item = own.popleft()
        if own:
            self._by_caller[caller] = own
        self.number -= 1
        return item


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


class FairPool:
    """Work in threads of its own. At most `computing` of them compute at a time, and the others wait for decisions.

    Each caller has at most `each` of the threads, or one whose work waits for long would hold all. At most
    `most` pieces may wait for a thread, and of a caller no more than there are free places: each leaves half of those
    that it found, and in the end all have as many (dynamic thresholds, Choudhury and Hahne 1998).
    """

    def __init__(self, threads: int, computing: int, most: int, each: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(threads, queue=0)
        self._idle = threads
        self._most_computing = computing
        self._each = each
        self._computing = 0
        self._threads_of: Counter[str] = Counter()
        self._most = most
        self._waiting: FairQueue[Work] = FairQueue()

    @property
    def waiting(self) -> int:
        return self._waiting.number

    def submit(self, caller: str, work: Work) -> None:
        """Like `Pool.submit`. Raises `PoolFull`."""
        if self._waiting.number_of(caller) >= self._most - self.waiting:
            raise PoolFull
        self._waiting.add(caller, work)
        self._start()

    def waiting_for[T](self, answer: Callable[[], T]) -> T:
        """Return what `answer` does, which waits. Meanwhile, another thread may compute. Call it in one of these."""
        self._loop.call_soon_threadsafe(self._pause)
        try:
            return answer()
        finally:
            self._loop.call_soon_threadsafe(self._resume)

    def stop(self) -> None:
        self._pool.stop()

    def _start(self) -> None:
        while self._idle and self._computing < self._most_computing:
            callers = (one for one in self._waiting.callers if self._threads_of[one] < self._each)
            caller = next(callers, None)
            if caller is None:
                return
            self._idle -= 1
            self._computing += 1
            self._threads_of[caller] += 1
            self._pool.submit(partial(self._work, caller, self._waiting.take(caller)))

    def _work(self, caller: str, work: Work) -> Callable[[], object]:
        return partial(self._finish, caller, work())

    def _pause(self) -> None:
        self._computing -= 1
        self._start()

    def _resume(self) -> None:
        self._computing += 1

    def _finish(self, caller: str, finish: Callable[[], object]) -> None:
        self._idle += 1
        self._computing -= 1
        self._threads_of[caller] -= 1
        if not self._threads_of[caller]:
            del self._threads_of[caller]
        try:
            finish()
        finally:
            self._start()
