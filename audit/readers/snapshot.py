"""The log at one moment, together with the journal, in the order that the log has or will have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, starmap

from django.db import connection

from audit.entries.drafts import Prepared
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.finding import SIZES, count_entries, entries_below, newest_and_counts, sizes
from audit.readers.reading import AuditEntry, read_entries
from audit.readers.waiting import entries_of_row, find_moved, listed_waiting, waiting_entries
from audit.sequencing.postings import SEGMENT, Listed

# The number of entries of the log that are read at once. Most searches need only the first.
BATCH = 10
IDS_PER_QUERY = 500
# The number of rows of the journal that are read together with the sizes of the log.
MOST_ROWS = 1000
TOGETHER = f"""
    SELECT log.size, log.segments, waiting.body FROM ({SIZES}) log
    LEFT JOIN (SELECT id, body FROM audit_journal ORDER BY id DESC LIMIT %s) waiting ON 1 = 1 ORDER BY waiting.id DESC
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Located:
    """An entry with its place in the order. `index` is its place in the log, or None while it is in the journal."""

    place: int
    id: str
    timestamp: datetime
    index: int | None
    event: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The size of the log, how many of its entries have postings, and what waits behind them, newest first."""

    size: int
    indexed: int
    waiting: Sequence[tuple[str, Listed]]
    prepared: Sequence[Prepared]
    """The entries that wait, in the same order."""

    @property
    def end(self) -> int:
        """The place behind the newest entry."""
        return self.size + len(self.waiting)

    def newest_first(self, criteria: Criteria, below: int | None = None) -> Iterator[Located]:
        """Yield the entries that match, with a place below `below`, newest first."""
        below = self.end if below is None else below
        yield from starmap(_locate_waiting, self._waiting(criteria, 0, below))
        yield from map(_locate, entries_below(min(below, self.size), criteria, BATCH, self.indexed))

    def last_and_counts(self, criteria: Criteria, parts: Sequence[Criteria]) -> tuple[Located | None, list[int]]:
        """Return the newest entry that matches one of the parts, if any, and how many match each.

        The parts are as in `finding.newest_and_counts`, which searches once for all of them.
        """
        waiting = [(one, [part.matches(one[2]) for part in parts]) for one in self._waiting(criteria, 0, self.end)]
        logged, counts = newest_and_counts(self.size, criteria, parts, self.indexed)
        newest = next((_locate_waiting(*one) for one, matching in waiting if any(matching)), None)
        for _, matching in waiting:
            counts = [count + is_part for count, is_part in zip(counts, matching, strict=True)]
        return newest or (_locate(logged) if logged else None), counts

    def newest(self, criteria: Criteria, limit: int) -> list[AuditEntry]:
        """Return up to `limit` entries that match, newest first."""
        waiting = self._prepared(criteria)
        logged = islice(entries_below(self.size, criteria, limit, self.indexed), max(limit - len(waiting), 0))
        return read_entries([*waiting, *logged][:limit])

    def count(self, criteria: Criteria, low: int = 0, high: int | None = None) -> int:
        """Return how many entries match, with a place from `low` to `high`, exclusive. It reads none of the log's."""
        high = self.end if high is None else high
        logged = count_entries(low, min(high, self.size), criteria, self.indexed)
        return logged + sum(1 for _ in self._waiting(criteria, low, high))

    def _prepared(self, criteria: Criteria) -> list[Entry | Prepared]:
        pairs = zip(self.prepared, self.waiting, strict=True)
        return [one for one, (_, listed) in pairs if criteria.matches(listed)]

    def _waiting(self, criteria: Criteria, low: int, high: int) -> Iterator[tuple[int, str, Listed]]:
        for offset, (entry_id, entry) in enumerate(self.waiting, 1):
            if low <= self.end - offset < high and criteria.matches(entry):
                yield self.end - offset, entry_id, entry


def _locate_waiting(place: int, entry_id: str, entry: Listed) -> Located:
    return Located(place, entry_id, entry.timestamp, None, entry.event)


def _locate(entry: Entry) -> Located:
    return Located(entry.leaf_index, entry.id, entry.timestamp, entry.leaf_index, entry.event)


def take_snapshot() -> Snapshot:
    """Return the log as it is now, read by one statement unless the journal is very long."""
    with connection.cursor() as cursor:
        cursor.execute(TOGETHER, [MOST_ROWS])
        rows = cursor.fetchall()
    if len(rows) >= MOST_ROWS:
        return _take_longer()
    size, segments = rows[0][:2]
    kept = [one for *_, body in rows if body is not None for one in entries_of_row(body)]
    return _snapshot(size, segments * SEGMENT, kept)


def _take_longer() -> Snapshot:
    """Read the journal first, so that nothing that moves meanwhile is missed."""
    waiting = list(waiting_entries())
    size, indexed = sizes()
    return _snapshot(size, indexed, _not_moved(waiting, size))


def _snapshot(size: int, indexed: int, kept: Sequence[Prepared]) -> Snapshot:
    return Snapshot(size, indexed, [(one.id, listed_waiting(one)) for one in kept], kept)


def _not_moved(waiting: Sequence[Prepared], size: int) -> Sequence[Prepared]:
    """Leave out what the sequencer has moved: the oldest, which are the last."""
    while waiting:
        oldest = waiting[-IDS_PER_QUERY:]
        moved = find_moved(oldest, size)
        waiting = [*waiting[:-IDS_PER_QUERY], *(one for one in oldest if one.id not in moved)]
        if len(moved) < len(oldest):
            break
    return waiting
