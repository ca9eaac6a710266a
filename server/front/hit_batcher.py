"""Counts the hits of throttles for the event loop, which must not wait for Redis or the database itself."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from core.errors import Throttled
from limits.quick_throttle import Hit

logger = logging.getLogger(__name__)

Refusals = list[Throttled | None]
Count = Callable[[Sequence[Hit]], Refusals]
_Pending = tuple[Hit, asyncio.Future[None]]


class HitBatcher:
    """Hits that arrive while a batch is being counted form the next batch. Each batch is one call of `count`.

    `run` calls a function in a thread. There is at most one batch per `pause`, in seconds, however many hits arrive.
    All methods are called in the event loop's thread.
    """

    def __init__(
        self, count: Count, run: Callable[[Callable[[], Refusals]], asyncio.Future[Refusals]], pause: float = 0
    ) -> None:
        self._count = count
        self._run = run
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Pending] = []
        self._task: asyncio.Task[None] | None = None

    def hit(self, hit: Hit) -> asyncio.Future[None]:
        """Return a future that is done when the hit is counted. It raises `Throttled` if it is refused."""
        answer: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((hit, answer))
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        return answer

    async def _work(self) -> None:
        """Count batches until nothing waits."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            for (_, answer), refusal in zip(batch, await self._refusals(batch), strict=True):
                if answer.done():  # the caller has stopped waiting
                    continue
                if refusal is None:
                    answer.set_result(None)
                else:
                    answer.set_exception(refusal)
            await asyncio.sleep(self._pause)
        self._task = None

    async def _refusals(self, batch: Sequence[_Pending]) -> Sequence[Exception | None]:
        """Return why each hit is refused, or None. An unexpected error refuses all of them."""
        try:
            return await self._run(partial(self._count, [hit for hit, _ in batch]))
        except Exception as error:
            logger.exception("A throttle failed")
            return [error] * len(batch)
