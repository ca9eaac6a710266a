"""The sequencer: it moves what is in the journal into the log, and signs checkpoints.

The server runs it in a process of its own (`sequencer_loop.py`). It alone decides the order of the log: a lock lets one
process append at a time. Readers do not need it: they see what is in the journal, too (`audit/selectors.py`).
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection
from django.db.models import Max

from audit.database.triggers import draining
from audit.entries import personal_keys
from audit.entries.journal import TABLE, DamagedRowError, Journaled, decode
from audit.entries.outlines import Outlines
from audit.entries.packing import pack
from audit.entries.records import Record, finish
from audit.entries.stand_ins import stand_in
from audit.models import Entry, Journal
from audit.sequencing.log import Log, Newest, Sealed, newest
from audit.signing import anchors, checkpoints
from core import clock
from core.locks import Busy, sequencing
from core.metrics import report_damaged, report_sequenced, report_sequencer

logger = logging.getLogger(__name__)

# SQLite has one writer at a time. Small steps, and pauses in which decisions find the database free, delay them by a
# millisecond or two instead of a tenth of a second. When the log is late, there are no pauses, and decisions must wait
# more. Still smaller steps take more CPU per entry: of 32 entries a third more.
ENTRIES_PER_TRANSACTION = {"postgresql": 4000, "sqlite": 128}
PAUSE_SECONDS = {"postgresql": 0.0, "sqlite": 0.0015}
LATE_SECONDS = 3.0
ENTRIES_PER_READ = 4000
ROWS_PER_READ = 1000
ROWS_PER_FETCH = 50
INTERVAL_SECONDS = 0.2
# The heads of streams are saved after this many entries or seconds, whichever comes first: in a thousand entries, most
# heads change, so saving them costs more than numbering the entries. A process that takes over reads these entries, and
# so do readers who count uses.
ENTRIES_PER_SAVE = 16_384
SAVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the journal, with its entries ready for the log."""

    id: int
    entries: Sequence[Sealed]


type Damaged = dict[int, Exception]
"""What each row that cannot be moved as a whole has caused."""


@dataclass(slots=True)
class Memory:
    """What a process keeps between its runs."""

    log: Log | None = None
    outlines: Outlines = field(default_factory=Outlines)
    appended: Newest | None = None
    """The end of the log after this process has appended to it last."""
    saved_at: float = 0.0
    signed_at: float = 0.0
    damaged: set[int] = field(default_factory=set)
    """Rows that cannot be moved as a whole. They stay in the journal, and each process tries each of them once."""


memory = Memory()


def sequence(*, wait: bool = True, stopped: threading.Event | None = None) -> int:
    """Move what is in the journal into the log, until `stopped` is set, and report it. Return the number of entries.

    Raises `Busy` if another process is moving it: after a few seconds or, if `wait` is false, at once. Damaged rows
    stay in the journal. Of those that can be opened, all entries are logged, or what stands in for them.
    """
    try:
        moved = _move_all(wait=wait, stopped=stopped)
        _end_run(wait=wait)
    finally:
        if connection.in_atomic_block:  # what an open transaction has written may be rolled back
            memory.log = None
    return moved


def _move_all(*, wait: bool, stopped: threading.Event | None) -> int:
    _forget_removed()
    moved, last = 0, _newest_row()
    if not last:
        report_sequencer(0, len(memory.damaged))
    for entries in _move_until(last, wait=wait):
        moved += len(entries)
        if entries:
            report_sequencer(_age(entries), len(memory.damaged))
        if stopped and stopped.is_set():
            break
    return moved


def forget() -> None:
    """Forget everything in memory, like a new process. For tests."""
    memory.log = memory.appended = None
    memory.outlines = Outlines()
    memory.damaged.clear()


def _forget_removed() -> None:
    """Forget the damaged rows that are no longer there: deleted by an operator, or moved by another process."""
    damaged = memory.damaged
    if damaged:
        damaged.intersection_update(Journal.objects.filter(pk__in=tuple(damaged)).values_list("pk", flat=True))


def _newest_row() -> int:
    """Return the id of the newest row that is not damaged, or 0 if there is none."""
    return Journal.objects.exclude(pk__in=tuple(memory.damaged)).aggregate(newest=Max("pk"))["newest"] or 0


def _move_until(last: int, *, wait: bool) -> Iterator[list[Sealed]]:
    """Move the rows up to this one, oldest first, in as many transactions as it takes. Yield what each has moved.

    A row with a lower id can be committed later. It was not there when `last` was read, so it is left for the next run.
    Exactly the rows that were read are deleted, so it is not lost.
    """
    done, pause, started = 0, 0.0, time.monotonic()
    while done < last:
        # Reading takes longest. Without the lock, decisions on SQLite need not wait for it.
        rows, damaged, done = _read(last)
        for part in _parts(rows):
            time.sleep(pause)
            entries = _move_or_split(part, damaged, wait=wait)
            report_sequenced(len(entries))
            yield entries
            pause = _pause_after(part)
            if time.monotonic() >= max(started, memory.signed_at) + INTERVAL_SECONDS:
                _sign(wait=wait)
        for row_id, error in damaged.items():
            yield _move_apart(row_id, error, wait=wait)


def _pause_after(part: Sequence[Row]) -> float:
    """Return for how many seconds decisions may write before the next transaction: none if the log is late."""
    if connection.in_atomic_block or _age(part[0].entries) > LATE_SECONDS:
        return 0.0
    return PAUSE_SECONDS[connection.vendor]


def _age(entries: Sequence[Sealed]) -> float:
    """Return the age of the oldest of these entries, in seconds, or 0 if there is none."""
    return max(0.0, (clock.now() - entries[0].record.timestamp).total_seconds()) if entries else 0.0


def _read(last: int) -> tuple[list[Row], Damaged, int]:
    """Return the oldest rows until they have `ENTRIES_PER_READ` entries, the damaged ones, and the last id."""
    found: dict[int, list[Record]] = {}
    damaged: Damaged = {}
    entries, row_id = 0, last
    stored = Journal.objects.filter(pk__lte=last).exclude(pk__in=tuple(memory.damaged)).order_by("pk")
    for row_id, body in stored.values_list("pk", "body")[:ROWS_PER_READ].iterator(chunk_size=ROWS_PER_FETCH):
        try:
            found[row_id] = [finish(entry, memory.outlines) for entry in decode(body)]
        except Exception as error:
            if not is_of_row(error):
                raise
            damaged[row_id] = error
            continue
        entries += len(found[row_id])
        if entries >= ENTRIES_PER_READ:
            break
    return _seal_or_split(found, damaged), damaged, row_id


def _seal_or_split(found: Mapping[int, Sequence[Record]], damaged: Damaged) -> list[Row]:
    """Compress the records and encrypt their personal data. Rows for which that is not possible become damaged ones."""
    try:
        return _seal(found)
    except Exception as error:
        if not is_of_row(error):
            raise
        if len(found) > 1:
            return [row for one in found.items() for row in _seal_or_split(dict([one]), damaged)]
        damaged.update(dict.fromkeys(found, error))
        return []


def _seal(found: Mapping[int, Sequence[Record]]) -> list[Row]:
    keys = personal_keys.keys_for(one.outline.subject for records in found.values() for one in records if one.personal)
    return [Row(row_id, [_sealed(one, keys) for one in records]) for row_id, records in found.items()]


def _sealed(record: Record, keys: Mapping[str, AESGCM | None]) -> Sealed:
    """Return a record ready for the log. Its personal data is left out if the key was destroyed."""
    key = keys[record.outline.subject] if record.personal else None
    return Sealed(record, pack(record.body), personal_keys.encrypt(key, record.id, record.personal) if key else None)


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows in parts. Each part is moved in its own transaction."""
    part: list[Row] = []
    entries, limit = 0, ENTRIES_PER_TRANSACTION[connection.vendor]
    for row in rows:
        part.append(row)
        entries += len(row.entries)
        if entries >= limit:
            yield part
            part, entries = [], 0
    if part:
        yield part


def _move_or_split(rows: Sequence[Row], damaged: Damaged, *, wait: bool) -> list[Sealed]:
    """Move the rows into the log. Return the entries of those that the log accepts. The others become damaged ones."""
    try:
        return _move(rows, wait=wait)
    except Exception as error:
        memory.log = None  # it may have what was rolled back
        if not is_of_row(error):
            raise
        if len(rows) > 1:
            half = len(rows) // 2
            return _move_or_split(rows[:half], damaged, wait=wait) + _move_or_split(rows[half:], damaged, wait=wait)
        damaged[rows[0].id] = error
        return []


def _move_apart(row_id: int, error: Exception, *, wait: bool) -> list[Sealed]:
    """Log the entries of a damaged row one by one, and what stands in for those that cannot be. The row stays.

    So nothing of it is lost, and an operator can look at it. Another process that tries again finds them in the log.
    """
    moved = [one for entry in _entries_of(row_id) for one in _move_or_replace(entry, wait=wait)]
    _report_damaged(row_id, error)
    return moved


def _entries_of(row_id: int) -> list[Journaled]:
    """Return the entries of a damaged row, or none if it cannot be opened."""
    body = Journal.objects.filter(pk=row_id).values_list("body", flat=True).first()
    try:
        return decode(body) if body else []
    except Exception as error:
        if not is_of_row(error):
            raise
        return []


def _move_or_replace(entry: Journaled, *, wait: bool) -> list[Sealed]:
    """Log an entry or, if that is not possible, its stand-in. Return what was logged: nothing if either is there."""
    for one in (entry, stand_in(entry)):
        try:
            return _move_alone(finish(one, memory.outlines), wait=wait)
        except Exception as error:
            memory.log = None
            if not is_of_row(error):
                raise
            logger.error("An entry of the journal cannot be logged: %s", error)
    return []


def _move_alone(record: Record, *, wait: bool) -> list[Sealed]:
    with sequencing(wait=wait):
        if Entry.objects.filter(pk=record.id).exists():
            return []
        (row,) = _seal({0: [record]})
        _open_log().place(row.entries, clock.now()).write()
    _note_moved()
    return [*row.entries]


def _move(rows: Sequence[Row], *, wait: bool) -> list[Sealed]:
    """Move the rows, without those that another process has moved since they were read. Return their entries."""
    entries = [entry for row in rows for entry in row.entries]
    placed = memory.log.place(entries, clock.now()) if memory.log else None
    with sequencing(wait=wait):
        deleted = _delete(rows)
        if placed is None or len(deleted) < len(rows) or placed.before != newest():
            # Another process has moved some of them, or appended others.
            memory.log = Log(*newest())
            entries = [entry for row in rows if row.id in deleted for entry in row.entries]
            placed = memory.log.place(entries, clock.now())
        placed.write()
        if memory.log and _is_save_due(memory.log):
            _save_streams(memory.log)
    if entries:
        _note_moved()
    return entries


def _note_moved() -> None:
    if memory.log and not connection.in_atomic_block:
        memory.appended = memory.log.newest


def _open_log() -> Log:
    """Return the end of the log. Read it from the database if another process has appended to it."""
    end = newest()
    if memory.log is None or memory.log.newest != end:
        memory.log = Log(*end)
    return memory.log


def _is_save_due(log: Log) -> bool:
    if log.size - log.streams_size >= ENTRIES_PER_SAVE:
        return True
    return log.has_unsaved_streams and time.monotonic() >= memory.saved_at + SAVE_SECONDS


def _end_run(*, wait: bool) -> None:
    """Sign a checkpoint, and save the heads of streams that have waited long enough, unless there is nothing to do."""
    log = memory.log
    if log is None or log.size > log.checkpoint_size or _is_save_due(log):
        _sign(wait=wait)


def _sign(*, wait: bool) -> None:
    """Sign the log as it is, if it has grown since the last checkpoint."""
    note = None
    try:
        with checkpoints.durable(), sequencing(wait=wait):
            log = _open_log()
            if _is_save_due(log):
                _save_streams(log)
            if log.size > log.checkpoint_size:
                log.checkpoint_size = checkpoints.size()  # another process may have signed what this one has appended
            if log.size > log.checkpoint_size:
                note = checkpoints.insert(log.size, log.root())
                log.checkpoint_size = log.size
    except Exception:
        memory.log = None
        raise
    memory.signed_at = time.monotonic()
    if note and not connection.in_atomic_block:
        anchors.write(note)


def _save_streams(log: Log) -> None:
    log.save_streams()
    memory.saved_at = time.monotonic()


def is_of_row(error: Exception) -> bool:
    """Return whether a row has caused the error. Otherwise no row can be moved now, and all are tried again."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return not isinstance(error, Busy | DatabaseError | InterfaceError | MemoryError | OSError)


def _delete(rows: Sequence[Row]) -> set[int]:
    """Return the ids of the rows that were there."""
    if not rows:
        return set()
    places = ", ".join(["%s"] * len(rows))
    with draining(), connection.cursor() as cursor:
        statement = f"DELETE FROM {TABLE} WHERE id IN ({places}) RETURNING id"  # noqa: S608
        cursor.execute(statement, [row.id for row in rows])
        return {row_id for (row_id,) in cursor.fetchall()}


def _report_damaged(row_id: int, error: Exception) -> None:
    memory.damaged.add(row_id)
    report_damaged(len(memory.damaged))
    is_unexpected = not isinstance(error, DamagedRowError | DatabaseError)
    message = "Row %s of the journal cannot be moved into the log, and stays there: %s (./dev manage audit_damaged)"
    logger.critical(message, row_id, error, exc_info=error if is_unexpected else None)
