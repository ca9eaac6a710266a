"""Turns for calls, so that one user does not starve another."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .callers import Denied

# How many calls of one user may wait for a turn.
MAX_WAITING = 128
# What was decided is not carried out much later, when the user may have revoked it.
MAX_SECONDS = 30.0


class Turns:
    """At most `limit` calls run at once, half of these for one user. Users with waiting calls take turns."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._share = max(1, limit // 2)
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, user: str) -> AsyncIterator[None]:
        """Run the block when it is this user's turn. Raises Denied if too many wait, or too long."""
        await self._take(user)
        try:
            yield
        finally:
            self._give_back(user)

    async def _take(self, user: str) -> None:
        if self._free and self._running[user] < self._share:
            self._start(user)
            return
        queue = self._waiting.setdefault(user, deque())
        if len(queue) >= MAX_WAITING:
            raise Denied("busy", f"{MAX_WAITING} calls of this user wait already. Try again later.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await asyncio.wait({turn}, timeout=MAX_SECONDS)
        except asyncio.CancelledError:
            if turn.done():
                self._give_back(user)
            turn.cancel()
            raise
        if not turn.done():
            turn.cancel()
            raise Denied("busy", f"No turn came within {MAX_SECONDS:g} seconds. Try again later.")

    def _start(self, user: str) -> None:
        self._free -= 1
        self._running[user] += 1

    def _give_back(self, user: str) -> None:
        self._free += 1
        self._running[user] -= 1
        if not self._running[user]:
            del self._running[user]
        self._call_next()

    def _call_next(self) -> None:
        """Give free turns to the users who have waited for longest, one each."""
        for user in list(self._waiting):
            if not self._free:
                return
            queue = self._waiting[user]
            while queue and queue[0].done():
                queue.popleft()
            if queue and self._running[user] < self._share:
                self._start(user)
                queue.popleft().set_result(None)
                self._waiting.move_to_end(user)
            if not queue:
                del self._waiting[user]
