"""The sequencer: it copies the journal of decisions into the log.

The server runs it in a process of its own (`run`). Each read of the log calls `catch_up` first, so that a reader sees
every decision that was answered before, even if the sequencer is late or has stopped.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection
from django.db.models import Max

from audit.journal import TABLE, DamagedRowError, decode
from audit.models import Journal
from audit.records import Record, columns_of
from audit.tables import insert_records
from audit.triggers import draining
from core import clock
from core.locks import Busy, sequencing
from core.metrics import report_sequenced, report_sequencer

logger = logging.getLogger(__name__)

# SQLite has one writer at a time. Small steps, and pauses in which decisions find the database free, delay them by a
# millisecond instead of a tenth of a second. When the log is late, there are no pauses, and decisions must wait more.
ENTRIES_PER_TRANSACTION = {"postgresql": 2000, "sqlite": 32}
PAUSE_SECONDS = {"postgresql": 0.0, "sqlite": 0.0015}
LATE_SECONDS = 3.0
# Most pages of the write-ahead log are of the same indexes, so rare checkpoints write fewer.
PAGES_PER_CHECKPOINT = 2000
ENTRIES_PER_READ = 2000
ROWS_PER_READ = 1000
ROWS_PER_FETCH = 20
INTERVAL_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
VACUUM_SECONDS = 5.0

# Rows that cannot be copied. They stay in the journal, and each process tries and logs each of them once.
_damaged: set[int] = set()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the journal. `records` is None if it is damaged."""

    id: int
    records: Sequence[Record] | None


def catch_up() -> None:
    """Copy what is in the journal. Call it before each read of the log. If the journal is empty, it costs one query.

    A read-only transaction cannot copy, so it reads the log as the sequencer left it. In another open transaction, the
    copy commits with it, and no other process copies until then. Raises `Busy` if another process copies for too long:
    the reader would miss decisions.
    """
    newest = _newest_row()
    if newest and not _is_read_only():
        for _ in _copy_until(newest):
            pass


def count_damaged() -> int:
    """Return the number of rows in the journal that this process could not copy. Call `catch_up` first."""
    _forget_removed()
    return len(_damaged)


def sequence(*, wait: bool = True, stopped: threading.Event | None = None) -> int:
    """Copy what is in the journal, until `stopped` is set, and report it. Return the number of entries.

    Raises `Busy` if `wait` is false and another process is copying. Damaged rows stay.
    """
    _forget_removed()
    entries, newest = 0, _newest_row()
    if not newest:
        report_sequencer(0, len(_damaged))
    for records in _copy_until(newest, wait=wait):
        entries += len(records)
        if records:  # else a reader was faster, and how late the log is shows only in what it leaves
            report_sequencer(_age(records), len(_damaged))
        if stopped and stopped.is_set():
            break
    return entries


def run(stopped: threading.Event) -> None:
    """Copy the journal again and again until `stopped` is set. No error ends this."""
    pause, vacuum = INTERVAL_SECONDS, Vacuum()
    while not stopped.wait(pause):
        try:
            _spare_disk()
            with suppress(Busy):
                vacuum.run_after(sequence(wait=False, stopped=stopped))
        except Exception as error:
            if pause == INTERVAL_SECONDS:
                is_unexpected = not isinstance(error, DatabaseError | InterfaceError)
                reason = str(error).split("\n", 1)[0]
                logger.error("The sequencer failed and tries again: %s", reason, exc_info=is_unexpected)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            connection.close()  # it may be broken
        else:
            if pause != INTERVAL_SECONDS:
                logger.info("The sequencer works again.")
            pause = INTERVAL_SECONDS
    connection.close()


def _spare_disk() -> None:
    """Make this process's commits on SQLite cheap, because the decisions wait meanwhile.

    They do not wait for the disk. A power failure can undo them, but only the latest, and then the journal has again
    what the log has lost.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute(f"PRAGMA wal_autocheckpoint={PAGES_PER_CHECKPOINT}")


class Vacuum:
    """Frees the space of copied rows on PostgreSQL. Autovacuum comes too rarely for a table that turns over so fast."""

    def __init__(self) -> None:
        self._is_needed, self._last = False, time.monotonic()

    def run_after(self, entries: int) -> None:
        """Run every few seconds, if any entry was copied in the meantime."""
        self._is_needed = self._is_needed or entries > 0
        if not self._is_needed or time.monotonic() < self._last + VACUUM_SECONDS:
            return
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Truncating the file would lock out the decisions.
                cursor.execute(f"VACUUM (TRUNCATE false) {TABLE}")
        self._is_needed, self._last = False, time.monotonic()


def _forget_removed() -> None:
    """Forget the damaged rows that are no longer there: deleted by an operator, or copied by another process."""
    if _damaged:
        _damaged.intersection_update(Journal.objects.filter(pk__in=tuple(_damaged)).values_list("pk", flat=True))


def _newest_row() -> int:
    """Return the id of the newest row that is not damaged, or 0 if there is none."""
    return Journal.objects.exclude(pk__in=tuple(_damaged)).aggregate(newest=Max("pk"))["newest"] or 0


def _is_read_only() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone() == ("on",))


def _copy_until(newest: int, *, wait: bool = True) -> Iterator[list[Record]]:
    """Copy the rows up to this one, oldest first, in as many transactions as it takes. Yield what each has copied.

    A row with a lower id can be committed later. It was not there when `newest` was read, so it is left for the next
    run. Exactly the rows that were read are deleted, so it is not lost.
    """
    last, pause = 0, 0.0
    while last < newest:
        # Reading takes longest. Without the lock, decisions on SQLite need not wait for it.
        rows = _read(newest)
        for part in _parts(rows):
            time.sleep(pause)
            records = _copy(part, wait=wait)
            report_sequenced(len(records))
            yield records
            pause = _pause_after(part)
        last = rows[-1].id if rows else newest


def _pause_after(part: Sequence[Row]) -> float:
    """Return for how many seconds decisions may write before the next transaction: none if the log is late."""
    if connection.in_atomic_block or _age(part[0].records or ()) > LATE_SECONDS:
        return 0.0
    return PAUSE_SECONDS[connection.vendor]


def _age(records: Sequence[Record]) -> float:
    """Return the age of the oldest of these entries, in seconds, or 0 if there is none."""
    return max(0.0, (clock.now() - columns_of(records[0]).timestamp).total_seconds()) if records else 0.0


def _read(newest: int) -> list[Row]:
    """Return the oldest rows, so many that they have `ENTRIES_PER_READ`, or all."""
    rows: list[Row] = []
    entries = 0
    stored = Journal.objects.filter(pk__lte=newest).exclude(pk__in=tuple(_damaged)).order_by("pk")
    for row_id, body in stored.values_list("pk", "body")[:ROWS_PER_READ].iterator(chunk_size=ROWS_PER_FETCH):
        rows.append(Row(row_id, _decode(row_id, body)))
        entries += len(rows[-1].records or ())
        if entries >= ENTRIES_PER_READ:
            break
    return rows


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows that can be read, in parts of which each is copied in a transaction of its own."""
    part: list[Row] = []
    entries, limit = 0, ENTRIES_PER_TRANSACTION[connection.vendor]
    for row in rows:
        if row.records is None:
            continue
        part.append(row)
        entries += len(row.records)
        if entries >= limit:
            yield part
            part, entries = [], 0
    if part:
        yield part


def _decode(row_id: int, body: bytes | memoryview) -> list[Record] | None:
    try:
        return decode(body)
    except Exception as error:  # of this row only: the others must be copied
        _report_damaged(row_id, error)
        return None


def _copy(rows: Sequence[Row], *, wait: bool) -> list[Record]:
    """Move the rows into the log. Return the records of those that the log accepts; the others stay."""
    try:
        with sequencing(wait=wait):
            return _move(rows)
    except Exception as error:
        if isinstance(error, Busy) or _is_of_database(error):
            raise
        if len(rows) > 1:
            half = len(rows) // 2
            return _copy(rows[:half], wait=wait) + _copy(rows[half:], wait=wait)
        _report_damaged(rows[0].id, error)
        return []


def _move(rows: Sequence[Row]) -> list[Record]:
    """Move the rows, without those that another process has moved since they were read. Return their records."""
    deleted = _delete(rows) if rows else ()
    records = [record for row in rows if row.id in deleted for record in row.records or ()]
    insert_records(records)
    return records


def _is_of_database(error: Exception) -> bool:
    """Return whether the database has failed, so that no row can be copied. Other errors come from a row."""
    return isinstance(error, DatabaseError | InterfaceError) and not isinstance(error, DataError | IntegrityError)


def _delete(rows: Sequence[Row]) -> set[int]:
    """Return the ids of the rows that were there."""
    places = ", ".join(["%s"] * len(rows))
    with draining(), connection.cursor() as cursor:
        statement = f"DELETE FROM {TABLE} WHERE id IN ({places}) RETURNING id"  # noqa: S608
        cursor.execute(statement, [row.id for row in rows])
        return {row_id for (row_id,) in cursor.fetchall()}


def _report_damaged(row_id: int, error: Exception) -> None:
    _damaged.add(row_id)
    is_unexpected = not isinstance(error, DamagedRowError | DatabaseError)
    message = "Row %s of the journal cannot be copied into the log, and stays there: %s"
    logger.critical(message, row_id, error, exc_info=error if is_unexpected else None)
