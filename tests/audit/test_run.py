"""The sequencer's loop goes on, whatever happens to the database."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection

from audit.entries.drafts import Prepared
from audit.models import Entry, Journal
from audit.sequencing import sequencer, sequencer_loop
from audit.sequencing.log import Placed
from audit.sequencing.sequencer_loop import Turn, run
from core.locks import Busy, sequencing
from tests.audit.journals import ids_of, logged_ids, write_row
from tests.threads import race
from tests.waiting import wait_until

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer_loop, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(sequencer_loop, "LONGEST_PAUSE_SECONDS", 0.05)


@contextmanager
def running() -> Iterator[threading.Thread]:
    stopped = threading.Event()
    thread = threading.Thread(target=run, args=(stopped,))
    thread.start()
    try:
        yield thread
    finally:
        stopped.set()
        thread.join(10)
    assert not thread.is_alive()


def wait_for(records: Sequence[Prepared]) -> None:
    wait_until(lambda: set(ids_of(records)) <= set(logged_ids()), seconds=10)


def sessions() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(SESSIONS)
        return [pid for (pid,) in cursor.fetchall()]


def noting(busy: list[Busy], function: Callable[..., int]) -> Callable[..., int]:
    """Return the function, with each `Busy` that it raises added to the list."""

    def call(**options: Any) -> int:
        try:
            return function(**options)
        except Busy as error:
            busy.append(error)
            raise

    return call


def fail_times(number: int, error: Exception, function: Callable[..., int]) -> Callable[..., int]:
    """Return a function that raises the error so many times before it calls the other."""
    errors = [error] * number

    def call(*given: Any, **options: Any) -> int:
        if errors:
            raise errors.pop()
        return function(*given, **options)

    return call


def test_it_copies_what_is_written_while_it_runs() -> None:
    with running():
        for _ in range(3):
            records = write_row(2)
            wait_for(records)
        wait_until(lambda: not Journal.objects.exists(), seconds=10)


def test_it_stops_in_the_middle_of_a_long_journal(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    write = Placed.write

    def write_and_stop(placed: Placed) -> None:
        write(placed)
        stopped.set()

    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 1)
    monkeypatch.setattr(Placed, "write", write_and_stop)
    records = [record for _ in range(5) for record in write_row(1)]
    race([lambda: run(stopped)])
    assert logged_ids() == ids_of(records[:1])
    assert Journal.objects.count() == 4


def test_it_rests_longer_after_a_large_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return not moved

    pauses: list[float | None] = []
    moved = [0, sequencer_loop.LOAD - 1, sequencer_loop.LOAD, 0]
    monkeypatch.setattr(sequencer_loop, "sequence", lambda **options: moved.pop(0))
    race([lambda: run(Stopped())])
    usual, longer = sequencer_loop.INTERVAL_SECONDS, sequencer_loop.INTERVAL_UNDER_LOAD
    assert pauses == [0.0, usual, usual, longer, usual]
    assert longer < sequencer_loop.TAKEOVER_SECONDS / 2


@pytest.mark.on_sqlite
def test_its_commits_do_not_wait_for_the_disk_on_sqlite(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if store != "sqlite":
        pytest.skip("about SQLite")
    modes: list[int] = []
    monkeypatch.setattr(sequencer_loop, "sequence", lambda **options: modes.append(synchronous_mode()) or 0)
    with running():
        wait_until(lambda: len(modes) > 1, seconds=10)
    assert set(modes) == {1}  # NORMAL
    assert synchronous_mode() == 2  # FULL for all others


def synchronous_mode() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("error", [OperationalError("server closed"), RuntimeError("a bug")], ids=["database", "bug"])
def test_it_survives_errors_and_logs_one_of_them(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="audit.sequencing.sequencer_loop")
    monkeypatch.setattr(sequencer_loop, "sequence", fail_times(4, error, sequencer.sequence))
    records = write_row(1)
    with running():
        wait_for(records)
        wait_until(lambda: "works again" in caplog.text, seconds=10)
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(error) in logged.getMessage()
    assert bool(logged.exc_info) == isinstance(error, RuntimeError)


def test_it_connects_again_after_its_connection_was_killed(store: str) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    before = set(sessions())
    with running():
        for _ in range(3):
            wait_until(lambda: bool(set(sessions()) - before), seconds=10)
            with connection.cursor() as cursor:
                for pid in set(sessions()) - before:
                    cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            records = write_row(1)
            wait_for(records)
    wait_until(lambda: set(sessions()) <= before, seconds=10)


def test_it_leaves_the_journal_to_another_process(
    store: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    busy: list[Busy] = []
    records: list[Prepared] = []
    monkeypatch.setattr(sequencer_loop, "sequence", noting(busy, sequencer.sequence))
    with running():
        with sequencing():
            race([lambda: records.extend(write_row(1))])
            wait_until(lambda: len(busy) > 2, seconds=10)
            assert not Entry.objects.exists()
        wait_for(records)
    assert caplog.text == ""


def test_it_vacuums_after_copying(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    monkeypatch.setattr(sequencer_loop, "VACUUM_SECONDS", 0.05)
    before = vacuums()
    with running():
        write_row(1)
        wait_until(lambda: vacuums() > before, seconds=10)
        wait_until(lambda: not Journal.objects.exists(), seconds=10)
        settled = vacuums()
        threading.Event().wait(0.3)
        assert vacuums() <= settled + 1  # nothing was copied since


def vacuums() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'audit_journal'")
        return int(cursor.fetchone()[0])


class TestTurns:
    """Of several sequencers, the one that appended last goes on."""

    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(sequencer_loop.time, "monotonic", lambda: self.now)

    @contextmanager
    def another_process(self) -> Iterator[None]:
        memory = sequencer.memory
        mine, memory.log, memory.appended = (memory.log, memory.appended), None, None
        try:
            yield
        finally:
            memory.log, memory.appended = mine

    def be_overtaken(self) -> None:
        """Let another process append after this one."""
        write_row(1)
        sequencer.sequence()
        with self.another_process():
            write_row(1)
            sequencer.sequence()

    def test_a_new_process_tries(self) -> None:
        assert Turn().is_ours()

    def test_of_two_new_processes_the_first_that_appends_goes_on(self) -> None:
        turn = Turn()
        assert turn.is_ours()
        with self.another_process():
            assert Turn().is_ours()
            write_row(1)
            sequencer.sequence()
            assert Turn().is_ours()
        assert not turn.is_ours()
        sequencer.sequence()
        assert not turn.is_ours()

    def test_the_one_that_appended_last_goes_on(self) -> None:
        write_row(1)
        sequencer.sequence()
        assert Turn().is_ours()

    def test_another_one_waits_while_nothing_is_late(self) -> None:
        self.be_overtaken()
        turn = Turn()
        for _ in range(3):
            assert not turn.is_ours()
            self.now += 5

    def test_it_takes_over_when_a_row_has_waited_for_a_second(self) -> None:
        self.be_overtaken()
        turn = Turn()
        write_row(1)
        assert not turn.is_ours()
        self.now += 0.9
        assert not turn.is_ours()
        self.now += 0.2
        assert turn.is_ours()

    def test_it_waits_while_the_rows_move(self) -> None:
        self.be_overtaken()
        turn = Turn()
        for _ in range(5):
            write_row(1)
            assert not turn.is_ours()
            with self.another_process():
                sequencer.sequence()
            self.now += 0.9

    def test_it_takes_over_when_a_checkpoint_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write_row(1)
        sequencer.sequence()
        monkeypatch.setattr(sequencer.checkpoints, "insert", fail_times(1, OperationalError("killed"), len))
        write_row(1)
        with self.another_process(), pytest.raises(OperationalError):
            sequencer.sequence()
        turn = Turn()
        assert not turn.is_ours()
        self.now += 1.1
        assert turn.is_ours()
