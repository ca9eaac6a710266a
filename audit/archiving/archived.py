"""Entries that are no longer in the database, read from the archive.

A few decoded objects stay in memory. An object whose digest is not the recorded one is not used.
"""

import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable
from functools import reduce
from operator import or_

from django.core.files.storage import storages
from django.db.models import Q, QuerySet

from audit.archiving import archive_format
from audit.archiving.archive_check import read
from audit.archiving.archive_format import Broken
from audit.fields import NO_ID, pack_id
from audit.models import Archive, ArchivedObject, Entry
from core.errors import Unavailable

logger = logging.getLogger(__name__)

# In memory, of a few megabytes each. Those of a former version can be longer than all these bytes together.
MAX_OBJECTS = 16
MAX_BYTES = MAX_OBJECTS * archive_format.MAX_OBJECT_BYTES
# A page of the log reads up to 501 entries.
IDS_PER_QUERY = 900
SEGMENTS_PER_QUERY = 100
READABLE = (Archive.State.VERIFIED, Archive.State.PRUNED)


class ArchiveUnavailable(Unavailable):
    """The archive cannot be read, or is damaged."""

    def __init__(self) -> None:
        super().__init__("Older entries are archived, and the archive cannot be read at the moment.")


def entries_at(indexes: Iterable[int]) -> list[Entry]:
    """Return the entries with these indexes, in their order, from the database and the archive.

    Indexes that the log does not have are left out. Raises `ArchiveUnavailable`.
    """
    wanted = list(indexes)
    found: dict[int, Entry] = {}
    for start in range(0, len(wanted), IDS_PER_QUERY):
        rows = Entry.objects.filter(leaf_index__in=wanted[start : start + IDS_PER_QUERY])
        found |= {entry.leaf_index: entry for entry in rows}
    # A month that is pruned between the two reads is found by the second.
    missing = [index for index in wanted if index not in found]
    found |= {entry.leaf_index: entry for entry in archived_entries(missing)}
    return [found[index] for index in wanted if index in found]


def archived_entries(indexes: Collection[int]) -> list[Entry]:
    """Return the archived entries with these indexes, in their order. They cannot be saved.

    Indexes that are not archived are left out. Raises `ArchiveUnavailable`.
    """
    if not indexes:
        return []
    objects = _objects_about(indexes)
    firsts, found = [one.first for one in objects], []
    for index in dict.fromkeys(indexes):
        place = bisect_right(firsts, index) - 1
        if place >= 0 and index <= objects[place].last:
            found.append(_decode(objects[place], index - firsts[place]))
    return found


def archived_entry(entry_id: str) -> Entry | None:
    """Return the archived entry with this id, or None. Raises `ArchiveUnavailable`."""
    wanted = pack_id(entry_id)
    if wanted == NO_ID:
        return None
    for stored in _readable_objects().filter(lowest__lte=wanted, highest__gte=wanted).order_by("first"):
        for offset, line in enumerate(_lines_of(stored)):
            if entry_id.encode() in line and (entry := _decode(stored, offset)).id == entry_id:
                return entry
    return None


def forget() -> None:
    """Forget the objects in memory. For tests."""
    _cache.clear()


class _Cache:
    """The lines of the objects that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: OrderedDict[str, list[bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, sha256: str) -> list[bytes] | None:
        with self._lock:
            if sha256 in self._objects:
                self._objects.move_to_end(sha256)
            return self._objects.get(sha256)

    def put(self, sha256: str, lines: list[bytes]) -> None:
        with self._lock:
            self._drop(self._objects.pop(sha256, []))
            while self._objects and (len(self._objects) >= MAX_OBJECTS or self._bytes + _size(lines) > MAX_BYTES):
                self._drop(self._objects.popitem(last=False)[1])
            self._objects[sha256] = lines
            self._bytes += _size(lines)

    def clear(self) -> None:
        with self._lock:
            self._objects.clear()
            self._bytes = 0

    def _drop(self, lines: list[bytes]) -> None:
        self._bytes -= _size(lines)


def _size(lines: list[bytes]) -> int:
    return sum(map(len, lines))


_cache = _Cache()


def _readable_months() -> QuerySet[Archive]:
    return Archive.objects.filter(state__in=READABLE).order_by()


def _readable_objects() -> QuerySet[ArchivedObject]:
    return ArchivedObject.objects.filter(month__in=_readable_months().values("month")).order_by()


def _objects_about(indexes: Iterable[int]) -> list[ArchivedObject]:
    """Return the objects that have these indexes, and others of their segments, in ascending order."""
    segments = sorted({archive_format.segment_of(index) for index in indexes})
    found: list[ArchivedObject] = []
    for start in range(0, len(segments), SEGMENTS_PER_QUERY):
        begins = [Q(first__range=segment) for segment in segments[start : start + SEGMENTS_PER_QUERY]]
        found += _readable_objects().filter(reduce(or_, begins)).order_by("first")
    return found


def _decode(stored: ArchivedObject, offset: int) -> Entry:
    try:
        return archive_format.decode_entry(_lines_of(stored)[offset])
    except (Broken, IndexError) as error:
        raise _report(stored, error) from error


def _lines_of(stored: ArchivedObject) -> list[bytes]:
    lines = _cache.get(stored.sha256)
    if lines is None:
        lines = _read_lines(stored)
        _cache.put(stored.sha256, lines)
    return lines


def _read_lines(stored: ArchivedObject) -> list[bytes]:
    described = {"name": archive_format.entries_file(stored.first), "sha256": stored.sha256}
    try:
        return archive_format.decompress(read(storages["archive"], stored.month, described))
    except Exception as error:  # storages raise what their libraries do
        raise _report(stored, error) from error


def _report(stored: ArchivedObject, error: Exception) -> ArchiveUnavailable:
    logger.error("Archived entries %s to %s of %s cannot be read: %s", stored.first, stored.last, stored.month, error)
    return ArchiveUnavailable()
