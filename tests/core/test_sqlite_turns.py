"""Under load, SQLite is free only for moments between two decisions. The sequencer does not miss them.

The writers of a process wait in a queue, without holding the database.
"""

import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from core.locks import revocation, sequencing, sqlite_writer, write_transaction
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_sqlite]


@pytest.fixture(autouse=True)
def _on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("is about SQLite")


@pytest.fixture
def writer() -> Iterator[sqlite3.Connection]:
    """Another process that writes."""
    path = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield writer


def counting(attempts: list[str]) -> Callable[..., Any]:
    """Return a wrapper that notes each statement that begins a transaction."""

    def run(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith("BEGIN"):
            attempts.append(sql)
        return execute(sql, *arguments)

    return run


def patience() -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])


def test_the_sequencer_asks_for_its_turn_every_few_milliseconds(writer: sqlite3.Connection) -> None:
    usual, attempts = patience(), list[str]()
    threading.Timer(0.5, lambda: writer.execute("COMMIT")).start()
    with connection.execute_wrapper(counting(attempts)), sequencing():
        assert connection.in_atomic_block
        assert patience() == usual
    assert len(attempts) > 10, "SQLite's own waiting is one attempt"


def test_attempts_keep_nothing_in_memory(writer: sqlite3.Connection) -> None:
    """Not even until the next look for garbage, because the sequencer looks rarely."""

    class Entries:
        pass

    def wait(entries: Entries) -> weakref.ref[Entries]:
        with sequencing():
            return weakref.ref(entries)

    threading.Timer(0.2, lambda: writer.execute("COMMIT")).start()
    gc.disable()
    try:
        kept = wait(Entries())
        assert kept() is None
    finally:
        gc.enable()


def test_the_sequencer_gives_up_after_as_long_as_usual(
    writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.3)
    try:
        began = time.monotonic()
        with pytest.raises(OperationalError, match="locked"), sequencing():
            pass
        assert 0.3 <= time.monotonic() - began < 5
        assert patience() == 300
        assert not connection.in_atomic_block
        writer.execute("COMMIT")
        with sequencing():
            pass
    finally:
        connection.close()


@pytest.mark.parametrize("write", [revocation, write_transaction])
def test_a_writer_that_queues_leaves_the_database_free(write: Callable[[], Any]) -> None:
    path, has_written = connection.settings_dict["NAME"], threading.Event()

    def wait() -> None:
        with write():
            has_written.set()
        connection.close()

    thread = threading.Thread(target=wait)
    assert sqlite_writer.acquire(0)
    try:
        thread.start()
        wait_until(lambda: bool(sqlite_writer._waiting), seconds=5)
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("COMMIT")
        assert not has_written.is_set()
    finally:
        sqlite_writer.release()
        thread.join(10)
    assert has_written.is_set()
    assert not sqlite_writer._is_held


def test_a_revocation_in_a_transaction_waits_for_no_turn() -> None:
    """Its thread may hold the turn, or the database that the holder of the turn waits for."""
    assert sqlite_writer.acquire(0)
    try:
        with transaction.atomic(), revocation():
            pass
    finally:
        sqlite_writer.release()
    with write_transaction(), revocation(), write_transaction():
        assert sqlite_writer._is_held
    assert not sqlite_writer._is_held


def test_what_follows_a_commit_may_write_and_keeps_no_other_writer_waiting() -> None:
    done = list[str]()

    def follow() -> None:
        assert not sqlite_writer._is_held
        with revocation():
            done.append("revoked")

    with revocation():
        transaction.on_commit(follow)
    assert done == ["revoked"]
    assert not sqlite_writer._is_held


def test_a_turn_ends_if_the_transaction_is_rolled_back() -> None:
    with pytest.raises(ZeroDivisionError), revocation():
        raise ZeroDivisionError
    assert not sqlite_writer._is_held
