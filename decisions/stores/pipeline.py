"""PostgreSQL's pipeline mode in the event loop: many statements are sent at once, and their results read at once.

psycopg makes the connection and reads the rows. Its own pipeline costs several times as much per statement.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection, Error
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from core.timeouts import STATEMENT_SECONDS
from decisions.stores.base import StoreUnavailable
from decisions.stores.postgresql_sql import SQL
from decisions.stores.postgresql_values import OIDS, encode
from decisions.stores.statements import Statement, Step, Trip

BEGIN, COMMIT, ROLLBACK = b"begin", b"commit", b"rollback"
BINARY = Format.BINARY
SUCCESSES = frozenset((ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.PIPELINE_SYNC))
# The plans for single rows also suit batches. Joins that read whole tables do not.
SESSION = (
    "SET TIME ZONE 'UTC'",
    # A role's defaults must not make commits less durable, or the facts older than the lock that is taken before.
    "SET synchronous_commit = on",
    "SET default_transaction_isolation = 'read committed'",
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_seqscan = off",
    # The server ends what this process can no longer end itself, so that no lock outlives it.
    f"SET statement_timeout = {int(1000 * STATEMENT_SECONDS)}",
    f"SET idle_in_transaction_session_timeout = {int(1000 * STATEMENT_SECONDS)}",
)


# The classes of SQLSTATE that the batch itself causes: data exceptions and violated constraints. All others, such as a
# full disk, are the server's.
BATCH_ERRORS = (b"22", b"23")
# How long a reset connection may go unnoticed.
WATCH_SECONDS = 0.1


class BadBatch(Exception):
    """The database refused what a batch contains. The transaction is rolled back."""


class Pipeline:
    """A connection with all statements prepared. It is unusable after any exception, and must be closed."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._raw = connection.pgconn
        self._socket = self._raw.socket
        self._loop = asyncio.get_running_loop()
        self._readers: dict[Statement, Any] = {}  # of psycopg.adapt.Transformer, by statement
        self._ready: asyncio.Future[None] | None = None
        self._is_listening = True
        self.is_committing = False
        """Whether the last trip commits, so that its answer says whether anything was saved."""
        self._loop.add_reader(self._socket, self._wake)
        self._watch()

    @classmethod
    async def open(cls, conninfo: str) -> "Pipeline":
        """Connect, and prepare all statements. Raises `psycopg.Error` or `StoreUnavailable`."""
        connection = await AsyncConnection.connect(conninfo, autocommit=True)
        try:
            for setting in SESSION:
                await connection.execute(setting)
            pipeline = cls(connection)
        except BaseException:
            await connection.close()
            raise
        try:
            await pipeline._prepare()
        except BaseException:
            await pipeline.close()
            raise
        return pipeline

    @property
    def is_lost(self) -> bool:
        """Whether the server has ended the connection while it was idle."""
        return not self._is_listening

    async def close(self) -> None:
        self._stop_listening()
        self._raw.finish()

    async def run(self, trip: Trip) -> list[Sequence[Any]]:
        """Send a trip and return the rows of each of its steps.

        Raises `BadBatch` or, for any other failure, `StoreUnavailable` or `psycopg.Error`. Nothing is committed then.
        """
        self.is_committing = trip.commits
        for step in trip.before:
            self._send(step)
        if trip.before:
            self._raw.pipeline_sync()  # which commits them
        self._send_trip(trip)
        skipped = len(trip.before) + bool(trip.before) + trip.begins
        results = await self._receive(skipped + len(trip.steps) + (trip.commits or trip.rolls_back) + 1)
        failed = next((result for result in results if result.status not in SUCCESSES), None)
        if failed is not None:
            await self._roll_back()
            raise _error(failed)
        return [self._rows(step.statement, result) for step, result in zip(trip.steps, results[skipped:], strict=False)]

    def _send_trip(self, trip: Trip) -> None:
        if trip.begins:
            self._raw.send_query_prepared(BEGIN, None)
        for step in trip.steps:
            self._send(step)
        if trip.commits or trip.rolls_back:
            self._raw.send_query_prepared(COMMIT if trip.commits else ROLLBACK, None)
        self._raw.pipeline_sync()

    def _send(self, step: Step) -> None:
        statement = step.statement
        values = encode(statement.takes, step.parameters)
        self._raw.send_query_prepared(
            statement.prepared_as, values, param_formats=[BINARY] * len(values), result_format=BINARY
        )

    async def _roll_back(self) -> None:
        self._raw.send_query_prepared(ROLLBACK, None)
        self._raw.pipeline_sync()
        await self._receive(2)

    def _rows(self, statement: Statement, result: PGresult) -> Sequence[Any]:
        number = result.ntuples
        if statement.gives is None or not number:
            return ()
        reader = self._readers.get(statement)
        if reader is None:
            reader = self._readers[statement] = Transformer(self._connection)
            reader.set_pgresult(result, format=BINARY)
        else:
            reader.set_pgresult(result, set_loaders=False)  # the columns of a statement never change
        return reader.load_rows(0, number, statement.gives._make)

    async def _prepare(self) -> None:
        self._raw.nonblocking = 1
        self._raw.enter_pipeline_mode()
        for command in (BEGIN, COMMIT, ROLLBACK):
            self._raw.send_prepare(command, command)
        for statement, sql in SQL.items():
            types = [OIDS[kind] for kind in statement.takes]
            self._raw.send_prepare(statement.prepared_as, sql.encode(), types)
        self._raw.pipeline_sync()
        for result in await self._receive(3 + len(SQL) + 1):
            if result.status not in SUCCESSES:
                raise _error(result)

    async def _receive(self, number: int) -> list[PGresult]:
        """Send what is waiting, and return this many results: one per statement and one per sync."""
        raw, results = self._raw, list[PGresult]()
        is_sending = raw.flush() == 1
        while len(results) < number:
            await self._wait(is_sending=is_sending)
            raw.consume_input()
            is_sending = is_sending and raw.flush() == 1
            while len(results) < number and not raw.is_busy():
                result = raw.get_result()
                if result is not None:  # None separates two statements
                    results.append(result)
        return results

    async def _wait(self, *, is_sending: bool) -> None:
        """Wait until something can be read or, while something must still be sent, written."""
        self._ready = self._loop.create_future()
        if is_sending:
            self._loop.add_writer(self._socket, self._wake)
        try:
            await self._ready
        finally:
            if is_sending:
                self._loop.remove_writer(self._socket)

    def _wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        else:
            self._read_unasked()

    def _read_unasked(self) -> None:
        """Read input that no trip expects. Unread, a lost connection would wake the loop again and again."""
        try:
            self._raw.consume_input()
        except Error:
            self._stop_listening()

    def _watch(self) -> None:
        """Look at the socket from time to time: uvloop does not report that the server has reset it."""
        if self._is_listening:
            self._wake()
            self._loop.call_later(WATCH_SECONDS, self._watch)

    def _stop_listening(self) -> None:
        # Only once: libpq has closed the socket of a lost connection, and another one may have its number now.
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._socket)


def _error(result: PGresult) -> Exception:
    message = result.error_message.decode(errors="replace").strip()
    state = result.error_field(DiagnosticField.SQLSTATE) or b""
    return BadBatch(message) if state.startswith(BATCH_ERRORS) else StoreUnavailable("statement", message)
