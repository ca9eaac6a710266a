"""The store on SQLite when the file, the disk or another process fails it."""

import asyncio
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from unittest.mock import Mock

import pytest
from django.db import connection

from core.locks import sqlite_writer, writing
from decisions.questions import Question
from decisions.stores import sqlite
from decisions.stores.base import StoreUnavailable
from decisions.stores.sqlite import SqliteStore
from server.front.bounds import THREADS
from tests.decisions.drivers import EventLoop, allowed, asking, limit, questions, written_rows
from tests.world import Grant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_sqlite]


@pytest.fixture(autouse=True)
def _only_on_sqlite(db: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite")


@pytest.fixture
def path() -> Path:
    return Path(connection.settings_dict["NAME"])


@pytest.fixture
def asked(grant: Grant) -> list[Question]:
    limit(grant, 2)
    return questions(asking(grant.access_token))


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Write in a transaction that is not committed, as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield other
        finally:
            other.rollback()


async def unavailable(store: SqliteStore, asked: list[Question]) -> str:
    """Return the kind of the failure."""
    with pytest.raises(StoreUnavailable) as failed:
        await store.decide(asked)
    return failed.value.kind


def test_a_batch_waits_for_a_writer_without_stopping_the_event_loop(
    loop: EventLoop, path: Path, asked: list[Question]
) -> None:
    async def wait() -> tuple[list[bool], int]:
        deciding = asyncio.ensure_future(loop.first.decide(asked))
        turns = 0
        while not deciding.done():
            turns += 1
            await asyncio.sleep(0.001)
        return allowed(deciding.result()), turns

    with locked(path) as other:
        timer = threading.Timer(0.3, other.rollback)
        timer.start()
        decisions, turns = loop.run(wait())
        timer.join()
    assert decisions == [True]
    assert turns > 10


def test_a_writer_that_does_not_end_in_time(
    loop: EventLoop, path: Path, asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "STATEMENT_SECONDS", 0.3)
    store = loop.make_store()
    with locked(path):
        began = time.monotonic()
        assert loop.run(unavailable(store, asked)) == "timeout"
        assert 0.2 < time.monotonic() - began < 3, "it waits for its own time, not for the usual one"
        with pytest.raises(StoreUnavailable):  # a store that cannot write cannot decide
            loop.run(store.ping())
    assert not sqlite_writer._is_held
    loop.run(store.ping())
    assert allowed(loop.run(store.decide(asked * 3))) == [True, True, False], "the late batch counted nothing"


def test_a_thread_that_writes_for_too_long(
    loop: EventLoop, asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "STATEMENT_SECONDS", 0.1)
    assert sqlite_writer.acquire(0)
    try:
        assert loop.run(unavailable(loop.make_store(), asked)) == "timeout"
    finally:
        sqlite_writer.release()
    assert allowed(loop.run(loop.first.decide(asked))) == [True]


def test_threads_that_write_without_a_pause_let_each_batch_pass(loop: EventLoop, asked: list[Question]) -> None:
    """Of two locks, one that threads wait for and one that the event loop polls, the threads would get both."""
    done, turns = threading.Event(), itertools.count()

    def write() -> None:
        while not done.is_set():
            with writing():
                next(turns)
                time.sleep(0.005)

    async def decide() -> list[int]:
        waited = []
        for _ in range(20):
            before = next(turns)
            await loop.first.decide(asked)
            waited.append(next(turns) - before - 1)
        return waited

    loop.run(loop.make_store().ping())
    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        waited = loop.run(decide())
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert max(waited) <= 2, waited


def test_a_full_disk(loop: EventLoop, asked: list[Question], grant: Grant) -> None:
    store = SqliteStore(Path(connection.settings_dict["NAME"]))
    loop.run(store.ping())
    assert store._connection
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    # The journal compresses its rows, so the text must be random. It must be more than the free pages of the file hold.
    (free,) = store._connection.execute("PRAGMA freelist_count").fetchone()
    long = [asking(grant.access_token, context={"text": token_hex(2000)}) for _ in range(200 + 4 * free)]

    assert loop.run(unavailable(store, questions(*long))) == "statement"

    assert written_rows() == []
    assert not sqlite_writer._is_held
    assert allowed(loop.run(store.decide(asked * 3))) == [True, True, False], "the failed batch counted nothing"
    loop.run(store.close())


def test_a_value_that_it_refuses_is_not_an_outage(loop: EventLoop, asked: list[Question]) -> None:
    store = loop.make_store()
    loop.run(store.decide(asked))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER refuse BEFORE INSERT ON audit_journal BEGIN SELECT RAISE(ABORT, 'refused'); END")
        try:
            with pytest.raises(sqlite3.IntegrityError):
                loop.run(store.decide(asked))
        finally:
            cursor.execute("DROP TRIGGER refuse")
    assert allowed(loop.run(store.decide(asked * 2))) == [True, False], "the refused batch counted nothing"


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 1000])
def test_a_file_that_is_not_a_database(
    loop: EventLoop, asked: list[Question], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "moved.db"
    if content is not None:
        path.write_bytes(content)
    store = SqliteStore(path)

    assert loop.run(unavailable(store, asked)) == "statement"
    with pytest.raises(StoreUnavailable):
        loop.run(store.ping())

    assert path.exists() == (content is not None)
    assert not sqlite_writer._is_held


def test_a_failed_commit_is_rolled_back(
    loop: EventLoop, asked: list[Question], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = loop.make_store()
    loop.run(store.decide(asked))
    assert isinstance(store, SqliteStore)
    assert store._connection
    store._connection.set_authorizer(_refuse_commit)

    assert loop.run(unavailable(store, asked)) == "statement"

    assert len(written_rows()) == 1
    assert allowed(loop.run(store.decide(asked * 2))) == [True, False]


@pytest.mark.parametrize(("code", "is_unknown"), [("SQLITE_IOERR_FSYNC", True), ("SQLITE_FULL", False)])
def test_only_a_failed_write_may_have_been_committed(
    loop: EventLoop, asked: list[Question], monkeypatch: pytest.MonkeyPatch, code: str, is_unknown: bool
) -> None:
    error = sqlite3.OperationalError(code)
    error.sqlite_errorcode = getattr(sqlite3, code)
    monkeypatch.setattr(sqlite, "_run", Mock(side_effect=error))
    with pytest.raises(StoreUnavailable) as failed:
        loop.run(loop.make_store().decide(asked))
    assert failed.value.may_have_committed is is_unknown


def test_an_error_before_sqlite_is_an_outage(
    loop: EventLoop, asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module raises some errors itself, such as this one, and these have no code."""
    monkeypatch.setattr(
        sqlite, "_run", Mock(side_effect=sqlite3.ProgrammingError("Cannot operate on a closed database."))
    )
    with pytest.raises(StoreUnavailable) as failed:
        loop.run(loop.make_store().decide(asked))
    assert not failed.value.may_have_committed


def _refuse_commit(action: int, operation: str | None, *_: str | None) -> int:
    is_commit = action == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
    return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK
