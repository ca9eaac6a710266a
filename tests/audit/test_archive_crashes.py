"""A crash at any statement or any use of the storage loses no entry, and deletes none that is not verified."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction

from audit.archiving import archive, archive_format, archived
from audit.archiving.archive import NotArchivable, archive_month
from audit.database import tables
from audit.models import Archive, Entry
from audit.sequencing import sequencer
from core import locks
from core.locks import Busy
from tests.audit.months import FEBRUARY, JANUARY, all_rows, archive_in, fill, use_small_segments

pytestmark = pytest.mark.django_db
MAX_POINTS = 2000


class Crash(BaseException):
    """The process ends here."""


class Points:
    """Counts the points at which a process can end, and ends it at one of them: after each statement and each file."""

    def __init__(self, last: int) -> None:
        self.passed, self._last = 0, last

    def go(self) -> None:
        self.passed += 1
        if self.passed == self._last:
            raise Crash

    def execute(self, execute: Any, *arguments: Any) -> Any:
        result = execute(*arguments)
        self.go()
        return result

    def save(self, save: Any) -> Any:
        def save_or_crash(name: str, content: Any) -> str:
            data = content.read()
            try:
                self.go()
            except Crash:  # the storage has half of it
                save(name, ContentFile(data[: len(data) // 2]))
                raise
            saved: str = save(name, ContentFile(data))
            self.go()
            return saved

        return save_or_crash


@contextmanager
def crashing(last: int) -> Iterator[Points]:
    points, storage = Points(last), archive.storage()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(storage, "save", points.save(storage.save))
        stack.enter_context(connection.execute_wrapper(points.execute))
        yield points


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    use_small_segments(monkeypatch)
    monkeypatch.setattr(archive, "ENTRIES_PER_DELETE", 2)
    monkeypatch.setattr(archive_format, "MAX_OBJECT_BYTES", 8_000)  # several files in each segment
    sequencer.forget()
    with archive_in(tmp_path / "archive") as folder:
        yield folder


def readable_rows(indexes: Iterable[int]) -> dict[int, list[Any]]:
    archived.forget()
    return {entry.leaf_index: tables.comparable(entry) for entry in archived.entries_at(indexes)}


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_wherever_it_ends_the_next_run_completes_the_month(folder: Path, step: int) -> None:
    fill({202512: 250, JANUARY: 12, FEBRUARY: 250})
    rows, states = all_rows(), set()
    before = {index: rows[index] for index in (*range(249, 264), 511)}
    archive_month(202512)
    for last in range(1, MAX_POINTS, step):
        start = transaction.savepoint_create()
        has_ended = run_and_crash(last, before)
        states.add(state_of(JANUARY))

        assert archive_month(JANUARY).state == "pruned"
        assert {*Entry.objects.values_list("leaf_index", flat=True)} == {*range(262, 512)}
        assert readable_rows(before) == before

        transaction.savepoint_rollback(start)
        shutil.rmtree(folder / "202601", ignore_errors=True)
        if has_ended:
            break
    assert has_ended
    assert last > 30, last
    assert states == {None, *Archive.State.values}


def run_and_crash(last: int, before: dict[int, list[Any]]) -> bool:
    """Archive until the point. Return whether it ended before. Check that nothing is lost."""
    has_ended = True
    with crashing(last) as points:
        try:
            archive_month(JANUARY)
        except Crash:
            has_ended = False
    if connection.vendor == "postgresql":  # the locks of a process end with it
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
    assert has_ended == (points.passed < last)
    if Entry.objects.count() < 262:
        assert state_of(JANUARY) in ("verified", "pruned")
    assert readable_rows(before) == before
    return has_ended


def state_of(month: int) -> str | None:
    return Archive.objects.filter(month=month).values_list("state", flat=True).first()


def test_an_empty_log_has_no_month_to_archive() -> None:
    with pytest.raises(NotArchivable, match="empty"):
        archive_month(JANUARY)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_process_archives_at_a_time(store: str) -> None:
    if store == "sqlite":
        with locks.archiving("default"), pytest.raises(Busy), locks.archiving("default"):
            pass
        return
    other = connection.copy()
    with other.cursor() as held:
        held.execute("SELECT pg_advisory_lock(%s)", [locks.ARCHIVER])
        with pytest.raises(Busy), locks.archiving("default"):
            pass
        held.execute("SELECT pg_advisory_unlock(%s)", [locks.ARCHIVER])
    other.close()
    with locks.archiving("default"):
        pass
