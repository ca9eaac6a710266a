"""The condition of the log, for the health check: looked at in a thread, and at most once per second."""

import asyncio
import logging
import time
from contextlib import suppress

from audit.condition import Condition, look
from core.pool import Pool, with_connections

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0


class LogWatch:
    """Has the thread of `pool` ask the database. All callers at once wait for the same answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asking: asyncio.Future[Condition | None] | None = None
        self._asked_at = 0.0
        self._last: Condition | None = None

    async def condition(self) -> Condition | None:
        """Return the condition or, if the database takes too long, the last one. None if it is not known."""
        if self._asking is None or (self._asking.done() and time.monotonic() > self._asked_at + FRESH_SECONDS):
            self._asked_at = time.monotonic()
            self._asking = self._pool.call(_ask)
            self._asking.add_done_callback(self._keep)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._asking), TIMEOUT_SECONDS)
        return self._last

    def _keep(self, asking: asyncio.Future[Condition | None]) -> None:
        self._last = None if asking.cancelled() else asking.result()


def _ask() -> Condition | None:
    try:
        return with_connections(look)()
    except Exception as error:
        logger.warning("The condition of the log is not known: %s", str(error).split("\n", 1)[0])
        return None
