"""The condition of the log, for the health check: looked at in a thread, and at most once per second."""

import asyncio
import logging
import time

from agentgate.front.pool import Pool, with_connections
from audit.condition import Condition, look

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0


class LogWatch:
    """Has the thread of `pool` ask the database. All callers at once wait for the same answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asking: asyncio.Future[Condition | None] | None = None
        self._asked_at = 0.0

    async def condition(self) -> Condition | None:
        """Return the condition, or None if the database does not say so in time."""
        if self._asking is None or (self._asking.done() and time.monotonic() > self._asked_at + FRESH_SECONDS):
            self._asked_at = time.monotonic()
            self._asking = self._pool.call(_ask)
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking), TIMEOUT_SECONDS)
        except TimeoutError:
            return None


def _ask() -> Condition | None:
    try:
        return with_connections(look)()
    except Exception as error:
        logger.warning("The condition of the log is not known: %s", str(error).split("\n", 1)[0])
        return None
