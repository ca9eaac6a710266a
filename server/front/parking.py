"""Requests that wait, without a thread: for an approval to be decided, for events, or for revocations.

Django answers such a request at once, with a header that only the front sees (`core.messages.PARK`). The front keeps
the connection, has the watch of each kind look once per `WATCH_SECONDS` for all requests that wait for it, and asks
Django again once there is news or the time is over. That answer goes to the client.
Answered in the event loop instead, the checks of access and their errors would be written twice.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from django.db import connections

from approvals.selectors import still_waiting
from core.messages import APPROVAL, EVENTS, PARK, REVOCATIONS, Mark
from core.pool import Pool, PoolFull, with_connections
from events.feed import watch_events
from events.revocations import watch_revocations
from server.front.bounds import MAX_PARKED, MAX_PARKED_BY_OWNER, MAX_RESUMING, PARKED_FOR_REVOCATIONS, WATCH_SECONDS
from server.front.exchange import Exchange

logger = logging.getLogger(__name__)

# Given what requests wait for (`Mark.about`), it returns for what they must go on waiting.
Watch = Callable[[Collection[str]], set[str]]
# Has Django answer, and then calls the second argument in the event loop. Raises `PoolFull`.
Resume = Callable[[Exchange, Callable[[], None]], None]


def make_watches() -> dict[str, Watch]:
    """Return the watch of each kind, for one process: they remember what they have looked at."""
    return {APPROVAL: still_waiting, EVENTS: watch_events(), REVOCATIONS: watch_revocations()}


class Parked:
    """A request that waits, for what, and until when, in the event loop's time."""

    def __init__(self, exchange: Exchange, mark: Mark, until: float) -> None:
        self.exchange = exchange
        self.mark = mark
        self.until = until


class Parking:
    """The parked requests of one process. All methods are called in the event loop's thread."""

    def __init__(self, resume: Resume, watches: Mapping[str, Watch] | None = None) -> None:
        self._resume = resume
        self._watches = make_watches() if watches is None else watches
        self._parked: dict[Exchange, Parked] = {}
        self._resumed: deque[Exchange] = deque()
        self._resuming = 0
        self._watching: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """How many requests are parked or wait for Django's second answer."""
        return len(self._parked) + len(self._resumed)

    def park(self, exchange: Exchange, mark: str) -> bool:
        """Keep the request as Django's header says. Return False if it must be answered at once."""
        found = Mark.decode(mark)
        # A body would be kept in memory, too.
        if not found or found.kind not in self._watches or exchange.is_stopping or exchange.request.body:
            return False
        if self.number >= MAX_PARKED or self._is_full_for(found.owner) or self._is_reserved(found.kind):
            return False
        until = asyncio.get_running_loop().time() + found.seconds
        self._parked[exchange] = Parked(exchange, found, until)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._keep_watching())
        return True

    def release(self, exchange: Exchange | None) -> None:
        """Answer the request now if it is parked."""
        if exchange is not None and exchange in self._parked:
            del self._parked[exchange]
            self._resumed.append(exchange)
            self._resume_next()

    def stop(self) -> None:
        """Stop watching. Every connection is closed by now, or the time for that is over."""
        if self._watching:
            self._watching.cancel()

    async def _keep_watching(self) -> None:
        """Look for changes until nothing is parked. Then the thread and its database connection end."""
        pool = Pool(threads=1, queue=0)
        try:
            while self.number:
                await asyncio.sleep(WATCH_SECONDS)
                self._forget_and_expire(asyncio.get_running_loop().time())
                if self._parked and (self._asking is None or self._asking.done()):
                    self._asking = asyncio.get_running_loop().create_task(self._ask(pool))
        finally:
            pool.call(connections.close_all)
            pool.stop()

    def _forget_and_expire(self, now: float) -> None:
        """Forget clients that have disconnected, and answer those whose time is over. Never waits for the database."""
        for exchange, parked in tuple(self._parked.items()):
            if exchange.is_gone:
                del self._parked[exchange]
            elif now >= parked.until:
                self.release(exchange)
        self._resume_next()

    def _is_full_for(self, owner: str) -> bool:
        owners = [parked.mark.owner for parked in self._parked.values()] if owner else []
        return owners.count(owner) >= MAX_PARKED_BY_OWNER

    def _is_reserved(self, kind: str) -> bool:
        """Return whether the places that are left are for services, which allow nothing without an answer."""
        others = sum(parked.mark.kind != REVOCATIONS for parked in self._parked.values())
        return kind != REVOCATIONS and others >= MAX_PARKED - PARKED_FOR_REVOCATIONS

    async def _ask(self, pool: Pool) -> None:
        """Answer those that have news. If the database fails, all wait until their time ends."""
        asked = tuple(self._parked.values())
        for kind in {parked.mark.kind for parked in asked}:
            await self._ask_about(kind, [parked for parked in asked if parked.mark.kind == kind], pool)

    async def _ask_about(self, kind: str, asked: Sequence[Parked], pool: Pool) -> None:
        abouts = {parked.mark.about for parked in asked}
        try:
            waiting = await pool.call(with_connections(partial(self._watches[kind], abouts)))
        except Exception as error:
            logger.warning("Requests that wait (%s) cannot be watched: %s", kind, str(error).split("\n", 1)[0])
            return
        for parked in asked:
            if parked.mark.about not in waiting:
                self.release(parked.exchange)

    def _resume_next(self) -> None:
        """Have Django answer again, few at a time, so that other requests find a free thread."""
        while self._resumed and self._resuming < MAX_RESUMING:
            exchange = self._resumed.popleft()
            if exchange.is_gone:
                continue
            exchange.arrived = time.monotonic()
            try:
                self._resume(exchange, self._finished)
            except PoolFull:  # the next tick tries again
                self._resumed.appendleft(exchange)
                return
            self._resuming += 1

    def _finished(self) -> None:
        self._resuming -= 1
        self._resume_next()


def take_mark(headers: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """Return the value of Django's header, or "", and the headers without it."""
    mark = next((value for name, value in headers if name.lower() == PARK.lower()), "")
    return mark, [(name, value) for name, value in headers if name.lower() != PARK.lower()] if mark else list(headers)
