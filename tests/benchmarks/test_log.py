"""A run fails unless every answered decision is in the log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.log import Log
from tests.live.server import Database


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as lite:
        lite.execute("CREATE TABLE audit_entry (event, outcome, leaf_index)")
        lite.execute("CREATE TABLE audit_journal (body)")
        lite.execute("INSERT INTO audit_entry VALUES ('token.verify', 'allowed', 0)")
        yield lite


@pytest.fixture
def log(connection: sqlite3.Connection, tmp_path: Path) -> Log:
    return Log(Database({"DATABASE_PATH": str(tmp_path / "log.db")}))


def test_every_answer_needs_an_entry_made_since(log: Log, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO audit_entry VALUES ('token.verify', 'allowed', 1), ('token.verify', 'allowed', 2)")
    assert log.size() == 3
    log.expect(2)

    with pytest.raises(RuntimeError, match="3 answers but only 2 log entries"):
        log.expect(1)


@pytest.mark.parametrize("other", ["('token.verify', 'denied', 1)", "('token.issued', 'allowed', 1)"])
def test_other_entries_do_not_count(log: Log, connection: sqlite3.Connection, other: str) -> None:
    connection.execute(f"INSERT INTO audit_entry VALUES {other}")

    with pytest.raises(RuntimeError, match="1 answers but only 0"):
        log.expect(1)


def test_a_journal_that_stays_full_is_an_error(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("INSERT INTO audit_journal VALUES (x'00')")
    monkeypatch.setattr("benchmarks.log.DRAIN_SECONDS", 0)

    with pytest.raises(RuntimeError, match="does not empty the journal"):
        Log(Database({"DATABASE_PATH": str(tmp_path / "log.db")})).expect(0)
