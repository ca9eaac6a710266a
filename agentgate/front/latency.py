"""Saves how long the decisions of this process took, once per minute and when it stops."""

import asyncio
import logging
from contextlib import suppress

from agentgate.front.pool import Pool, with_connections
from insights.latency import Saver

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
# How long a process that stops waits for the database.
TIMEOUT_SECONDS = 1.0


class LatencySaver:
    """Has the thread of `pool` write to the database, so the event loop and the decisions do not wait for it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._saver = Saver()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Save what is left, unless the database does not answer in time."""
        self._task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pool.call(self._save), TIMEOUT_SECONDS)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self._pool.call(self._save)

    def _save(self) -> None:
        try:
            with_connections(self._saver.save)()
        except Exception as error:  # the next call saves the same, too
            logger.warning("The latency of decisions was not saved: %s", str(error).split("\n", 1)[0])
