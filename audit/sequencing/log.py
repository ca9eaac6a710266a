"""The end of the log as the sequencer keeps it in memory: its size, the tree's right edge, the streams' heads.

Everything can be read again from the entries, so a process that takes over starts from the database.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import NamedTuple

from django.db import connection
from django.db.models import Max

from audit.database import tables
from audit.entries.outlines import CONNECTION, Outline, outline_of, stream_names
from audit.entries.records import Record, commit_numbers, decode_opening, encode_opening, hash_leaf, leaf
from audit.fields import unpack_id
from audit.models import Checkpoint, Entry, Progress, Segment, Stream, Tile
from audit.sequencing.postings import SEGMENT, OpenSegment
from audit.sequencing.streams import Head, Heads
from audit.sequencing.tree import TILE_WIDTH, Edge, FullTile, widths

IDS_PER_QUERY, ENTRIES_PER_QUERY = 500, 500
SETTLE_SECONDS = 600.0


class Sealed(NamedTuple):
    """A record whose personal data is encrypted, and whose body is compressed."""

    record: Record
    packed: bytes
    personal: bytes | None


class Calendar:
    """Decides when the next month begins: once the clock has been in it for `SETTLE_SECONDS`, by another clock.

    A clock that jumps ahead would otherwise choose a month that the log cannot leave again until it comes.
    """

    def __init__(self) -> None:
        self._later, self._since = 0, 0.0

    def settle(self, newest: int, this: int) -> int:
        """Return the month of the next entry, after one of the month `newest` (0 for none), if it is `this` now."""
        if not newest or this <= newest:
            self._later = 0
            return newest or this
        if this != self._later:
            self._later, self._since = this, time.monotonic()
        return this if time.monotonic() >= self._since + SETTLE_SECONDS else newest


calendar = Calendar()


class Log:
    """The end of the log. Use it only while holding the sequencer's lock, and drop it if a transaction fails."""

    def __init__(self, size: int, newest_id: str | None, month: int) -> None:
        self.newest = Newest(size, newest_id, month)
        self.streams_size = streams_size()
        self.checkpoint_size = Checkpoint.objects.aggregate(size=Max("size"))["size"] or 0
        self._heads = Heads()
        self._segment = OpenSegment(complete_segments())
        self._edge = Edge(size, [self._restore(size), *_roots(size)])

    @property
    def size(self) -> int:
        return self._edge.size

    @property
    def has_unsaved_streams(self) -> bool:
        return bool(self._heads.changed)

    def root(self) -> bytes:
        return self._edge.root()

    def place(self, entries: Sequence[Sealed], now: datetime) -> "Placed":
        """Give the entries their places at the end of the log.

        This changes only the memory, so it needs no lock. `Placed.write` must follow, or this object must be dropped.
        """
        before, month = self.newest, self._month(now)
        self._load_heads([entry.record.outline for entry in entries])
        rows, hashes, segments = [], [], []
        for index, entry in enumerate(entries, self.size):
            row, leaf_hash = self._place(entry, index, month)
            rows.append(row)
            hashes.append(leaf_hash)
            record = entry.record
            if self._segment.add(record.outline.terms, record.timestamp, record.mark):
                segments.append(self._segment)
                self._segment = OpenSegment(self._segment.number + 1)
        tiles = self._edge.append(hashes)
        if entries:
            self.newest = Newest(self.size, entries[-1].record.id, month)
        return Placed(before, rows, tiles, segments)

    def save_streams(self) -> None:
        """Write the heads that have changed."""
        tables.save_heads({one: self._heads.known[one] for one in self._heads.changed})
        Progress.objects.update_or_create(id=1, defaults={"streams_size": self.size})
        self._heads.forget_saved()
        self.streams_size = self.size

    def _month(self, now: datetime) -> int:
        """Return the month to which entries that are logged now belong, such as 202611. It never goes back."""
        this = now.astimezone(UTC)
        return calendar.settle(self.newest.month, 100 * this.year + this.month)

    def _place(self, entry: Sealed, index: int, month: int) -> tuple[tables.Row, bytes]:
        record, packed, personal = entry
        outline, timestamp, opening = record.outline, record.timestamp, record.opening
        numbers = self._heads.number(outline, timestamp, record.amount)
        streams = commit_numbers(opening.secret, outline.names, numbers)
        kept = encode_opening(opening, numbers)
        row = tables.Row(index, timestamp, month, record.id, outline.texts, packed, kept, personal)
        return row, hash_leaf(leaf(record.body, index, streams))

    def _load_heads(self, outlines: Sequence[Outline]) -> None:
        missing = self._heads.missing(outlines)
        for start in range(0, len(missing), IDS_PER_QUERY):
            for stream in Stream.objects.filter(pk__in=missing[start : start + IDS_PER_QUERY]):
                self._heads.load(stream.id, Head.from_row(stream))
        for one in missing:
            self._heads.known.setdefault(one, Head())

    def _restore(self, size: int) -> list[bytes]:
        """Read the entries after the last complete segment, and the heads since they were saved.

        Return the hashes of the entries after the last full tile.
        """
        open_tile, open_segment = size - size % TILE_WIDTH, self._segment.number * SEGMENT
        first = min(open_tile, open_segment, self.streams_size)
        newer = Entry.objects.filter(leaf_index__gte=first).order_by("leaf_index")
        hashes: list[bytes] = []
        for some in batched(newer.iterator(chunk_size=ENTRIES_PER_QUERY), ENTRIES_PER_QUERY):
            self._restore_some(some, open_segment)
            hashes += [hash_leaf(leaf_of(entry)) for entry in some if entry.leaf_index >= open_tile]
        return hashes

    def _restore_some(self, entries: Sequence[Entry], open_segment: int) -> None:
        openings = [decode_opening(entry.opening) for entry in entries]
        outlines = [
            outline_of(entry.content, opening.withheld) for entry, (opening, _) in zip(entries, openings, strict=True)
        ]
        self._load_heads(outlines)
        for entry, outline, (_, numbers) in zip(entries, outlines, openings, strict=True):
            if entry.leaf_index >= open_segment:
                self._segment.add_entry(entry)
            if entry.leaf_index >= self.streams_size:
                self._heads.restore(outline, entry.timestamp, numbers)


@dataclass(frozen=True, slots=True)
class Placed:
    """Entries with their places, and what they complete. `before` is the end of the log that they follow."""

    before: "Newest"
    rows: Sequence[tables.Row]
    tiles: Sequence[FullTile]
    segments: Sequence[OpenSegment]

    def write(self) -> None:
        """Write everything, in a transaction with the sequencer's lock in which `newest()` is still `before`."""
        if self.rows and self.rows[0].month != self.before.month:
            tables.add_month(self.rows[0].month)
        tables.insert_entries(self.rows)
        tables.insert_tiles(self.tiles)
        for segment in self.segments:
            tables.insert_segment(segment)


class Newest(NamedTuple):
    """The size of the log, and the id and month of its newest entry."""

    size: int = 0
    id: str | None = None
    month: int = 0


def newest() -> Newest:
    with connection.cursor() as cursor:
        cursor.execute("SELECT leaf_index, id, month FROM audit_entry ORDER BY leaf_index DESC LIMIT 1")
        found = cursor.fetchone()
    return Newest(found[0] + 1, unpack_id(found[1]), found[2]) if found else Newest()


def leaf_of(entry: Entry) -> bytes:
    """Return the bytes of an entry's leaf. Raises `ValueError` if its columns were damaged."""
    opening, numbers = decode_opening(entry.opening)
    names = stream_names(entry.organization_ids, entry.user_id, CONNECTION if numbers.totals else None)
    streams = commit_numbers(opening.secret, [name.encode() for name in names], numbers)
    return leaf(entry.body, entry.leaf_index, streams)


def complete_segments() -> int:
    """Return how many segments have postings, which are those of the first entries."""
    newest_segment = Segment.objects.aggregate(number=Max("number"))["number"]
    return 0 if newest_segment is None else newest_segment + 1


def streams_size() -> int:
    """Return the size of the log at which the heads of streams were saved."""
    return Progress.objects.filter(id=1).values_list("streams_size", flat=True).first() or 0


def _roots(size: int) -> Iterator[list[bytes]]:
    """Yield the hashes of the last tile of each level but the lowest: the roots of full tiles below."""
    for level, (number, width) in enumerate(widths(size)[1:]):
        first = number * TILE_WIDTH
        below = Tile.objects.filter(level=level, number__gte=first, number__lt=first + width).order_by("number")
        yield [bytes(tile_root) for tile_root in below.values_list("root", flat=True)]
