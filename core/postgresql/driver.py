"""psycopg as Django uses it, except that a connection is closed when the server has been silent for too long."""

import logging
from typing import Any, Self

from psycopg import (
    Binary,
    Connection,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    errors,
)
from psycopg.abc import RV, PQGen, PQGenConn

from core import timeouts

__all__ = [
    "Binary",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Silent",
    "connect",
]

logger = logging.getLogger(__name__)


class Silent(OperationalError):
    """The server did not answer in time. The connection is closed. What was sent may still be carried out."""


class BoundedConnection(Connection[Any]):
    """A connection that waits `timeouts.silence_seconds` for each answer."""

    @classmethod
    def connect(cls, conninfo: str = "", **parameters: Any) -> Self:
        """Connect, unless the request has met silence before. Raises `OperationalError`."""
        if not timeouts.may_connect():
            raise Silent("PostgreSQL did not answer this request before.")
        try:
            return super().connect(conninfo, **parameters)
        except OperationalError as error:
            timeouts.report_silence()
            logger.error("Connecting to PostgreSQL failed: %s", str(error).split("\n", 1)[0])
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        """Connect to one address. psycopg tries those of all hosts, and waits for each as if it were the first."""
        connecting = super()._connect_gen(conninfo)
        waits_for = next(connecting)
        while True:
            ready = yield waits_for
            if not timeouts.may_connect():
                raise Silent("PostgreSQL did not accept a connection in the time that the request has left.")
            try:
                waits_for = connecting.send(ready)
            except StopIteration as end:
                connected: Self = end.value
                return connected

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer. Raises `Silent`, and closes the connection, which is then in an unknown state."""
        seconds = timeouts.silence_seconds() if timeout is None else timeout
        try:
            return super().wait(gen, interval, seconds)
        except errors._WaitTimeout as error:
            self.close()
            timeouts.report_silence()
            silent = Silent(f"PostgreSQL did not answer within {seconds:g} seconds.")
            logger.error("%s", silent)
            raise silent from error


connect = BoundedConnection.connect
