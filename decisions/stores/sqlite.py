"""The store on SQLite: one connection in the event loop's thread, because a change of thread takes longer than a batch.

A batch that finds the database locked waits in the event loop, so the process keeps answering other requests.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

from core.locks import sqlite_writer
from core.timeouts import STATEMENT_SECONDS
from decisions.conversation import Conversation, converse, ping
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.base import Committing, StoreUnavailable, ignore
from decisions.stores.sqlite_sql import SQL
from decisions.stores.sqlite_values import encode, encode_rows, rows_of
from decisions.stores.statements import Statement, Step, Trip

# The event loop's clock has no shorter one.
PAUSE = 0.001
# Of 4 KiB, in the write-ahead log.
MOST_PAGES = 20_000
# What the batch itself causes. All other errors, such as a full disk or a damaged file, are the database's.
BATCH_ERRORS = (sqlite3.DataError, sqlite3.IntegrityError)
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SqliteStore:
    """Decides batches on a connection that it opens when it needs one."""

    reads_beside_commits = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def decide(
        self, questions: Sequence[Question], seconds: float = inf, committing: Committing = ignore
    ) -> list[Decision]:
        try:
            async with self._transaction() as connection:
                return _run(connection, converse(questions, is_serial=True, seconds=seconds))
        except BATCH_ERRORS:
            raise
        except sqlite3.Error as error:
            await self.close()
            # What a failed fsync left in the write-ahead log may be recovered later. Errors of the module have no code.
            unknown = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
            raise StoreUnavailable("statement", str(error), may_have_committed=unknown) from error

    async def ping(self, *, writes: bool = True) -> None:
        try:
            async with self._transaction() as connection:
                _run_trip(connection, ping(writes=writes))
        except sqlite3.Error as error:
            await self.close()
            raise StoreUnavailable("statement", str(error)) from error

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """Open a transaction as the only writer. It is rolled back unless it has been committed."""
        deadline = time.monotonic() + STATEMENT_SECONDS
        if not await sqlite_writer.acquire_first(STATEMENT_SECONDS):
            raise StoreUnavailable("timeout", "A thread of this process is writing for too long.")
        try:
            connection = self._open()
            await _begin_by(deadline, connection)
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.rollback()
        finally:
            sqlite_writer.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Opening must not create a database: the file may have been moved away.
            connection = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
            connection.execute("PRAGMA synchronous=FULL")
            # Copying the write-ahead log into the file takes milliseconds, so it is left to other connections. The
            # limit applies if there are none.
            connection.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")
            self._connection = connection
        return self._connection


def _run(connection: sqlite3.Connection, conversation: Conversation) -> list[Decision]:
    """Run the conversation. It never waits, because the transaction has the database to itself."""
    rows: Any = None
    while True:
        try:
            trip: Trip = conversation.send(rows)
        except StopIteration as end:
            decisions: list[Decision] = end.value
            return decisions
        rows = _run_trip(connection, trip)


def _run_trip(connection: sqlite3.Connection, trip: Trip) -> Any:
    rows = [_execute(connection, step) for step in trip.steps]
    if trip.commits:
        connection.execute("COMMIT")
    return rows


def _execute(connection: sqlite3.Connection, step: Step) -> Sequence[Any]:
    sql = SQL[step.statement]
    if not sql:
        return ()
    if step.statement is Statement.SAVE_COUNTERS:
        connection.executemany(sql, encode_rows(step))
        return ()
    return rows_of(step.statement, connection.execute(sql, encode(step)).fetchall())


def _begin(connection: sqlite3.Connection) -> bool:
    """Return whether the transaction has begun. False if another process is writing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in LOCKED:
            return False
        raise
    return True


async def _begin_by(deadline: float, connection: sqlite3.Connection) -> None:
    """Begin as soon as no other process is writing. Raises `StoreUnavailable` after the deadline."""
    while not _begin(connection):
        if time.monotonic() >= deadline:
            raise StoreUnavailable("timeout", "Another process has locked the database.")
        await asyncio.sleep(PAUSE)
