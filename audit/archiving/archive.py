"""The archive: months of the log, written to a storage, read back, checked, recorded, and only then deleted here.

Each step can be repeated after a crash anywhere: what has a row in the database is complete in the storage, and the
rest is written again. `Archive.state` is the last step that a month has completed. Nothing is
deleted before every entry of its month was read back and equals the one in the database.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.models import QuerySet
from psycopg.errors import LockNotAvailable
from zstandard import ZstdCompressor

from audit.archiving import archive_format
from audit.archiving.archive_check import checked_entries
from audit.archiving.archive_format import Broken, Span
from audit.database import tables
from audit.database.triggers import pruning
from audit.fields import pack_id
from audit.models import Archive, ArchivedObject, Checkpoint, Cosignature, Entry
from audit.proof.proofs import read_tiles
from audit.sequencing import postings
from audit.sequencing.log import complete_segments, streams_size
from audit.signing import checkpoints
from audit.signing.log_keys import open_with_any, stored_keys
from audit.signing.notes import NoteBroken
from core import clock, locks
from core.errors import Conflict
from core.timeouts import DROP_LOCK_SECONDS

State = Archive.State
Report = Callable[[str], object]

ENTRIES_PER_READ = 64
ENTRIES_PER_DELETE = 250
PAUSE_SECONDS = 0.005
TILES_PER_READ = 100
DROP_ATTEMPTS = 10
DROP_PAUSE_SECONDS = 3.0


class NotArchivable(Conflict):
    """The month cannot be archived, or not yet."""


def archive_next(report: Report = lambda _: None) -> Archive | None:
    """Finish the month that is in progress, or archive the oldest that is due. Return it, or None if there is none.

    Raises `Busy`, `Broken` if the archive cannot be trusted, `NotArchivable`, and what storages and databases raise.
    """
    with locks.archiving(settings.AUDIT_ARCHIVER_DATABASE):
        month = _month_in_progress() or _month_due(clock.now())
        return _archive(month, report) if month else None


def archive_month(month: int, report: Report = lambda _: None) -> Archive:
    """Archive this month, however recent it is. Raises the same as `archive_next`."""
    with locks.archiving(settings.AUDIT_ARCHIVER_DATABASE):
        in_progress = _month_in_progress()
        if in_progress not in (None, month):
            raise NotArchivable(f"Finish {in_progress} first.")
        return _archive(month, report)


def verify_archives(month: int | None = None, report: Report = lambda _: None) -> int:
    """Read the months that are only in the archive, or this one, back and check them. Return how many there are.

    Raises `Broken` for the first that is damaged.
    """
    found = _archives().filter(state=State.PRUNED)
    archives, keys = list(found.filter(month=month) if month else found), stored_keys()
    for archive in archives:
        for _ in checked_entries(storage(), archive, keys):
            pass
        report(f"{archive.month}: entries {archive.first} to {archive.last} are intact")
    return len(archives)


def storage() -> Storage:
    return storages["archive"]


def _archives() -> QuerySet[Archive]:
    return Archive.objects.using(settings.AUDIT_ARCHIVER_DATABASE)


def _objects() -> QuerySet[ArchivedObject]:
    return ArchivedObject.objects.using(settings.AUDIT_ARCHIVER_DATABASE)


def _month_in_progress() -> int | None:
    return _archives().exclude(state=State.PRUNED).values_list("month", flat=True).first()


def _month_due(now: datetime) -> int | None:
    """Return the oldest month, if it is old enough and can be archived."""
    after = settings.AUDIT_ARCHIVE_AFTER_MONTHS
    month = _oldest_month()
    if after is None or month is None or _count_months(month, now) < after or _obstacle(month):
        return None
    return month


def _oldest_month() -> int | None:
    months: QuerySet[Entry, int] = Entry.objects.order_by("leaf_index").values_list("month", flat=True)
    return months.first()


def _count_months(month: int, now: datetime) -> int:
    """Return for how many months this one has been over."""
    this, (year, number) = now.astimezone(UTC), divmod(month, 100)
    return 12 * (this.year - year) + this.month - number


def _archive(month: int, report: Report) -> Archive:
    """Do the steps that are left."""
    archive = _archives().filter(month=month).first() or _start(month)
    if archive.state == State.WRITING:
        _write(archive, report)
    if archive.state != State.PRUNED:
        _verify(archive, report)
        _prune(archive, report)
    report(f"{month}: {archive.state}")
    return archive


def _start(month: int) -> Archive:
    obstacle = _obstacle(month)
    if obstacle:
        raise NotArchivable(obstacle)
    span = _span_of(month)
    return _archives().create(
        month=month,
        first=span.first,
        last=span.last,
        checkpoint=_checkpoint_size(span.last),
        state=State.WRITING,
        updated_at=clock.now(),
    )


def _obstacle(month: int) -> str:
    """Return why the month cannot be archived, or an empty text.

    The sequencer and the readers need the entries since the last complete segment, and since the heads of streams were
    saved.
    """
    oldest = _oldest_month()
    if oldest != month:
        return f"The oldest month is {oldest}." if oldest else "The log is empty."
    newest = Entry.objects.order_by("-leaf_index").values_list("month", flat=True)[0]
    if newest == month:
        return f"{month} is the newest month, so it may not be complete."
    needed = min(complete_segments() * postings.SEGMENT, streams_size(), checkpoints.size())
    last = _span_of(month).last
    return f"{last + 1 - needed} of its entries are still needed." if last >= needed else ""


def _span_of(oldest_month: int) -> Span:
    """Return the entries of the oldest month, of several. Months ascend with the index, but have no index."""
    first: int = Entry.objects.order_by("leaf_index").values_list("leaf_index", flat=True)[0]
    low, high = first, Entry.objects.order_by("-leaf_index").values_list("leaf_index", flat=True)[0]
    while low < high:  # the first entry of a later month is between them
        middle = (low + high) // 2
        if Entry.objects.values_list("month", flat=True).get(leaf_index=middle) > oldest_month:
            high = middle
        else:
            low = middle + 1
    return Span(first, low - 1)


def _checkpoint_size(last: int) -> int:
    """Return the size of the first checkpoint that covers the entry, or of the first that a witness has cosigned."""
    cosigned = Cosignature.objects.filter(size__gt=last).order_by("size").values_list("size", flat=True).first()
    return cosigned or Checkpoint.objects.filter(size__gt=last).order_by("size").values_list("size", flat=True)[0]


def _write(archive: Archive, report: Report) -> None:
    note, key = _covering_note(archive)
    objects = list(_write_objects(archive, report))
    tiles = _write_tiles(archive)
    manifest = {
        "format": archive_format.FORMAT,
        "key": key,
        "month": archive.month,
        "first": archive.first,
        "last": archive.last,
        "objects": objects,
        "tiles": tiles,
        "checkpoint": _save(archive, "checkpoint", note.encode()),
    }
    saved = _save(archive, "manifest.json", archive_format.encode_manifest(manifest))
    _step(archive, State.WRITTEN, manifest=saved["sha256"])


def _covering_note(archive: Archive) -> tuple[str, str]:
    """Return the note of the checkpoint that covers the month, and the verifier key of the log's key that signed it.

    It may be a former key, because each `JWT_SECRET` has its own.
    """
    note = checkpoints.with_cosignatures(Checkpoint.objects.get(size=archive.checkpoint))
    try:
        key, _ = open_with_any(note, stored_keys())
    except NoteBroken as error:
        raise Broken(f"checkpoint {archive.checkpoint} is not valid: {error}") from error
    return note, key.verifier_key


def _write_objects(archive: Archive, report: Report) -> Iterator[dict[str, Any]]:
    """Write the objects that are not written yet, and yield the description of each."""
    first = archive.first
    while first <= archive.last:
        known = _objects().filter(first=first).first() or _write_object(archive, first, report)
        yield _describe(archive_format.entries_file(first), known.size, known.sha256)
        first = known.last + 1


def _write_object(archive: Archive, first: int, report: Report) -> ArchivedObject:
    """Write the object that begins with this entry. It ends with the segment, the month, or what readers take."""
    last = min(archive.last, archive_format.segment_of(first).last)
    found, file = list(_lines_of(Span(first, last))), archive_format.entries_file(first)
    if not found:
        raise Broken("the entry is missing in the database", first)
    data = archive_format.compress(line for _, line in found)
    _save(archive, file, data)
    known = _record_object(archive, first, [pack_id(entry_id) for entry_id, _ in found], data)
    report(f"{archive.month}: wrote {file}")
    return known


def _lines_of(span: Span) -> Iterator[tuple[str, bytes]]:
    """Yield the ids and the lines of these entries, as many as an object has room for."""
    room = archive_format.MAX_OBJECT_BYTES
    for index, entry in enumerate(_rows_of(span), span.first):
        if entry.leaf_index != index:
            raise Broken("the entry is missing in the database", index)
        line = archive_format.encode_entry(entry)
        room -= len(line) + 1
        if room < 0:
            return
        yield entry.id, line


def _rows_of(span: Span) -> Iterator[Entry]:
    """Yield rows in order. Few are read at once, because they can be long."""
    for first in range(span.first, span.last + 1, ENTRIES_PER_READ):
        yield from _read_rows(Span(first, min(span.last, first + ENTRIES_PER_READ - 1)))


def _record_object(archive: Archive, first: int, ids: list[UUID], data: bytes) -> ArchivedObject:
    return _objects().create(
        first=first,
        last=first + len(ids) - 1,
        month=archive.month,
        lowest=min(ids),
        highest=max(ids),
        size=len(data),
        sha256=archive_format.sha256(data),
    )


def _read_rows(span: Span) -> list[Entry]:
    return list(Entry.objects.filter(leaf_index__range=span).order_by("leaf_index"))


def _write_tiles(archive: Archive) -> dict[str, Any]:
    """Write the tiles through a temporary file: those of a large month do not fit into memory."""
    file = "tiles.jsonl.zst"
    places = archive_format.covering_tiles(archive.first, archive.last, archive.checkpoint)
    with TemporaryFile(dir=getattr(storage(), "temporary_folder", None)) as temporary:
        compressor = ZstdCompressor(level=3, write_checksum=True)
        with compressor.stream_writer(temporary, closefd=False) as writer:
            for line in _tile_lines(places):
                writer.write(line + b"\n")
        return _save_file(archive, file, temporary)


def _tile_lines(places: list[archive_format.TilePlace]) -> Iterator[bytes]:
    for start in range(0, len(places), TILES_PER_READ):
        wanted = places[start : start + TILES_PER_READ]
        found = read_tiles({place[:2]: place.width for place in wanted})
        for place in wanted:
            yield archive_format.encode_tile(place, b"".join(found[place[:2]][: place.width]))


def _save(archive: Archive, file: str, data: bytes) -> dict[str, Any]:
    """Write a file whole, in place of what a crash left there. Return its description."""
    _save_content(archive, file, ContentFile(data))
    return _describe(file, len(data), archive_format.sha256(data))


def _save_file(archive: Archive, file: str, temporary: Any) -> dict[str, Any]:
    size = temporary.tell()
    temporary.seek(0)
    digest = archive_format.sha256_of(temporary)
    temporary.seek(0)
    _save_content(archive, file, File(temporary))
    return _describe(file, size, digest)


def _save_content(archive: Archive, file: str, content: "File[bytes]") -> None:
    name = archive_format.name_of(archive.month, file)
    saved = storage().save(name, content)
    if saved != name:
        raise Broken(f"The storage saved {name} as {saved}: it must overwrite files.")


def _describe(file: str, size: int, digest: str) -> dict[str, Any]:
    return {"name": file, "size": size, "sha256": digest}


def _verify(archive: Archive, report: Report) -> None:
    """Read everything back and compare it with the database. A month that fails is written again by the next run."""
    try:
        for entries in checked_entries(storage(), archive, stored_keys()):
            _compare(archive, entries)
            report(f"{archive.month}: verified {entries[-1].leaf_index + 1 - archive.first} entries")
    except Broken:
        _start_again(archive)
        raise
    _step(archive, State.VERIFIED)


def _compare(archive: Archive, archived: list[Entry]) -> None:
    """Check that each entry equals its row. Rows may be missing only where an earlier run has deleted them."""
    span = Span(archived[0].leaf_index, archived[-1].leaf_index)
    rows = {entry.leaf_index: entry for entry in _read_rows(span)}
    if len(rows) < span.size and archive.state != State.VERIFIED:
        raise Broken("entries are missing in the database", min(set(range(span.first, span.last + 1)) - set(rows)))
    for entry in archived:
        row = rows.get(entry.leaf_index)
        if row and tables.comparable(row) != tables.comparable(entry):
            raise Broken("the entry is not the one in the database", entry.leaf_index)


def _start_again(archive: Archive) -> None:
    if archive.state == State.WRITTEN:
        with transaction.atomic(using=settings.AUDIT_ARCHIVER_DATABASE):
            _objects().filter(month=archive.month).delete()
            _step(archive, State.WRITING, manifest="")


def _prune(archive: Archive, report: Report) -> None:
    """Delete the month from the database."""
    alias = settings.AUDIT_ARCHIVER_DATABASE
    if connections[alias].vendor == "postgresql":
        _drop_partition(archive.month, alias)
        archive.state = State.PRUNED
        return
    for start in range(archive.first, archive.last + 1, postings.SEGMENT):
        last = min(archive.last, start + postings.SEGMENT - 1)
        for first in range(start, last + 1, ENTRIES_PER_DELETE):
            _delete(Span(first, min(last, first + ENTRIES_PER_DELETE - 1)))
        report(f"{archive.month}: deleted up to {last}")
    _step(archive, State.PRUNED)


def _drop_partition(month: int, alias: str) -> None:
    for attempt in range(1, DROP_ATTEMPTS + 1):
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {int(DROP_LOCK_SECONDS * 1000)}")
                cursor.execute("SELECT audit_drop_month(%s)", [month])
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
            return
        except OperationalError as error:
            if attempt == DROP_ATTEMPTS or not isinstance(error.__cause__, LockNotAvailable):
                raise
        time.sleep(DROP_PAUSE_SECONDS)


def _delete(span: Span) -> None:
    """Delete entries on SQLite, where the decisions wait meanwhile. The trigger refuses what is not verified."""
    connection = connections["default"]
    with locks.writing(), transaction.atomic(), pruning(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_entry WHERE leaf_index BETWEEN %s AND %s", span)
    if not connection.in_atomic_block:
        time.sleep(PAUSE_SECONDS)


def _step(archive: Archive, state: Archive.State, **fields: str) -> None:
    """Record that the month has reached this state."""
    changes = {"state": state, "updated_at": clock.now(), **fields}
    if not _archives().filter(month=archive.month, state=archive.state).update(**changes):
        raise DatabaseError(f"The archive of {archive.month} was changed meanwhile.")
    for name, value in changes.items():
        setattr(archive, name, value)
