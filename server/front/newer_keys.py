"""Reads the signing keys that are newer than this process."""

import asyncio
import logging

from django.db import Error, InterfaceError, OperationalError

from core.errors import Unavailable
from core.metrics import report_store_error
from core.pool import Pool, with_connections
from decisions.batcher import DOWN
from tokens.keys import load_newer_keys

logger = logging.getLogger(__name__)


class NewerKeys:
    """Has a thread of `pool` read the keys. All requests that need them at once wait for the same reading."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reading: asyncio.Future[Exception | None] | None = None
        self._is_down = False

    def read(self) -> asyncio.Future[Exception | None]:
        """Return a future that says why the keys could not be read, None if they were. It never raises.

        If it raised the error in every request that waits, each would lengthen the error's traceback.
        """
        if self._reading is None or self._reading.done():
            self._reading = self._pool.call(self._read)
        return self._reading

    def _read(self) -> Exception | None:
        try:
            with_connections(load_newer_keys)()
        except Error as error:
            self._report_down(error)
            return Unavailable(DOWN)
        except Exception as error:
            logger.exception("The signing keys could not be read")
            return error
        self._report_up()
        return None

    def _report_down(self, error: Error) -> None:
        """Count the error. Only the first of an outage is logged: forged tokens can cause thousands."""
        report_store_error("connection" if isinstance(error, (OperationalError, InterfaceError)) else "statement")
        if not self._is_down:
            logger.error("The signing keys cannot be read: %s", str(error).split("\n", 1)[0])
        self._is_down = True

    def _report_up(self) -> None:
        if self._is_down:
            logger.warning("The signing keys can be read again.")
        self._is_down = False
