"""Someone who owns the database: reads and writes any table past the triggers, and knows the log's own key."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import psycopg

from audit.database.triggers import remove_statements
from audit.entries.packing import pack, unpack
from audit.entries.records import decode_opening, encode_opening
from audit.sequencing.streams import Numbers
from tests.live.server import Database, LiveServer
from tests.waiting import wait_until

# Tiles of this many entries are complete. What is later can be rewritten without rewriting a tile.
TILE = 256
WRITE = (
    "from tests.audit.journals import decision, write_drafts;"
    "write_drafts([decision(organization_id='{organization}', user_id='{user}', agent_id='{agent}',"
    " consent_id='{consent}', personal=personal) for personal in {personal}])"
)


class Forger:
    """Changes the log of a running server. What it changes in the first tile can be restored."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._url = server.database.environment.get("DATABASE_URL")
        self._vendor = "postgresql" if self._url else "sqlite"
        self.execute(*remove_statements(self._vendor))
        self.execute(f"CREATE TABLE saved_entries AS SELECT * FROM audit_entry WHERE leaf_index < {TILE}")

    @property
    def database(self) -> Database:
        return self._server.database

    def restore(self) -> None:
        self.execute(
            f"DELETE FROM audit_entry WHERE leaf_index < {TILE}", "INSERT INTO audit_entry SELECT * FROM saved_entries"
        )

    def execute(self, *statements: str) -> None:
        """Execute statements in one transaction."""
        for statement in statements:
            self.change(statement)

    def change(self, statement: str, *values: Any) -> int:
        """Execute a statement with `?` for values. Return the number of rows."""
        if self._url:
            with psycopg.connect(self._url) as connection:
                return connection.execute(statement.replace("?", "%s").encode(), values or None).rowcount
        lite = sqlite3.connect(self.database.environment["DATABASE_PATH"], timeout=20)
        try:
            with lite:
                return lite.execute(statement, values).rowcount
        finally:
            lite.close()

    def column(self, name: str, index: int) -> bytes:
        ((value,),) = self.database.rows(f"SELECT {name} FROM audit_entry WHERE leaf_index = {index}")
        return bytes(value)

    def set_column(self, name: str, index: int, value: bytes) -> None:
        assert self.change(f"UPDATE audit_entry SET {name} = ? WHERE leaf_index = ?", value, index) == 1

    def flip(self, name: str, index: int, place: int) -> None:
        value = bytearray(self.column(name, index))
        value[place] ^= 1
        self.set_column(name, index, bytes(value))

    def rewrite_record(self, index: int, old: bytes, new: bytes) -> None:
        body = unpack(self.column("record", index))
        assert old in body
        self.set_column("record", index, pack(body.replace(old, new, 1)))

    def rewrite_numbers(self, index: int, edit: Callable[[Numbers], Numbers]) -> None:
        opening, numbers = decode_opening(self.column("opening", index))
        self.set_column("opening", index, encode_opening(opening, edit(numbers)))

    def indexes(self, column: str, value: str) -> list[int]:
        rows = self.database.rows(f"SELECT leaf_index FROM audit_entry WHERE {column} = '{value}' ORDER BY leaf_index")
        return [index for (index,) in rows]

    def sign_again(self, since: int) -> None:
        """Let the sequencer sign the log anew from this size on, as if it had always been so."""
        assert since >= TILE
        assert self.database.count("audit_tile") == 1, "a second tile is full"
        with self.paused():
            self.execute(
                f"DELETE FROM audit_checkpoint WHERE size > {since}",
                f"DELETE FROM audit_cosignature WHERE size > {since}",
                "DELETE FROM audit_stream",
                "DELETE FROM audit_progress",
            )
            killed = self._sequencer()
            killed.kill()
        wait_until(lambda: self._server.sequencer() not in (None, killed), self._server.log_text, 20)

    def truncate(self, size: int) -> None:
        self.change("DELETE FROM audit_entry WHERE leaf_index >= ?", size)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the sequencer, so that what is decided stays in the journal."""
        sequencer = self._sequencer()
        self._suspend(sequencer)
        try:
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                sequencer.resume()

    def _sequencer(self) -> psutil.Process:
        wait_until(lambda: self._server.sequencer() is not None, self._server.log_text, 20)
        sequencer = self._server.sequencer()
        assert sequencer
        return sequencer

    def _suspend(self, sequencer: psutil.Process) -> None:
        """Stop it outside of a transaction, in which it would block all others."""

        def stops() -> bool:
            sequencer.suspend()
            if self._is_free():
                return True
            sequencer.resume()
            return False

        wait_until(stops, seconds=20)

    def _is_free(self) -> bool:
        if self._url:
            where = (
                "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            return self.database.count("pg_locks", where) == 0
        lite = sqlite3.connect(self.database.environment["DATABASE_PATH"], timeout=0.5, isolation_level=None)
        try:
            lite.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            lite.close()
        return True

    def waiting(self) -> list[int]:
        """Return the ids of the journal's rows."""
        return [row_id for (row_id,) in self.database.rows("SELECT id FROM audit_journal ORDER BY id")]

    def write_decisions(self, ids: dict[str, str], amounts: Sequence[str | None]) -> None:
        """Write allowed decisions into the journal that nobody has made, one for each amount."""
        personal = [{"amount": {"currency": "EUR", "value": amount}} if amount else {} for amount in amounts]
        self._server.manage("shell", "-c", WRITE.format(personal=personal, **ids))
