"""Finds entries in the log by its postings, and the newest ones, which have none yet, by their columns."""

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from itertools import batched, groupby
from operator import and_, itemgetter, or_
from typing import NamedTuple

from django.db import connection
from zstandard import ZstdDecompressor

from audit.archiving.archived import entries_at
from audit.models import Entry, Segment
from audit.readers.criteria import Criteria
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import SEGMENT, microseconds, to_mask

# So many segments are searched by the first query, and by each further one.
FIRST_WINDOW, LARGEST_WINDOW = 32, 4096
ALL = -1
SIZES = """
    SELECT coalesce((SELECT leaf_index + 1 FROM audit_entry ORDER BY leaf_index DESC LIMIT 1), 0),
        coalesce((SELECT number + 1 FROM audit_segment ORDER BY number DESC LIMIT 1), 0)
"""
# Microseconds since 1970 that are not in this range do not fit into an entry.
MIN, MAX = -(1 << 63), 1 << 63


def sizes() -> tuple[int, int]:
    """Return the size of the log, and how many of its entries have postings."""
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        size, segments = cursor.fetchone()
    return size, segments * SEGMENT


def entries_below(end: int, criteria: Criteria, batch: int, indexed: int | None = None) -> Iterator[Entry]:
    """Yield the entries with an index lower than `end` that match, newest first. They are read `batch` at a time.

    `indexed` is how many entries had postings at some time before, if it is known.
    """
    indexed = complete_segments() * SEGMENT if indexed is None else indexed
    for indexes in batched(_candidates(end, criteria, batch, indexed), batch):  # the last batch may be shorter
        for entry in entries_at(indexes):
            if criteria.matches(entry):
                yield entry


def count_entries(low: int, high: int, criteria: Criteria, indexed: int | None = None) -> int:
    """Return how many entries with an index from `low` to `high`, exclusive, match. It reads none of them.

    The criteria must have a term.
    """
    indexed = complete_segments() * SEGMENT if indexed is None else indexed
    rows = Entry.objects.filter(**criteria.columns(), leaf_index__gte=max(low, indexed), leaf_index__lt=high)
    found = rows.count() if high > max(low, indexed) else 0
    end = min(indexed, high)
    for number, mask in _masks(-(-end // SEGMENT), criteria, low // SEGMENT) if end > low else ():
        first = number * SEGMENT
        found += ((mask & _lowest(end - first)) >> max(0, low - first)).bit_count()
    return found


def _candidates(end: int, criteria: Criteria, batch: int, indexed: int) -> Iterator[int]:
    """Yield the indexes of all entries that match, and perhaps of some others, in descending order."""
    if not criteria.columns():
        yield from range(end - 1, -1, -1)
        return
    if end > indexed:
        yield from _in_tail(indexed, end, criteria, batch)
    yield from _in_segments(min(indexed, end), criteria)


def _in_tail(first: int, end: int, criteria: Criteria, batch: int) -> Iterator[int]:
    rows = Entry.objects.filter(**criteria.columns(), leaf_index__gte=first).order_by("-leaf_index")
    while end > first:
        found = list(rows.filter(leaf_index__lt=end).values_list("leaf_index", flat=True)[:batch])
        yield from found
        end = found[-1] if len(found) == batch else first


def _in_segments(end: int, criteria: Criteria) -> Iterator[int]:
    for number, mask in _masks(-(-end // SEGMENT), criteria):
        first = number * SEGMENT
        yield from (first + offset for offset in _descending(mask & _lowest(end - first)))


def _masks(high: int, criteria: Criteria, low: int = 0) -> Iterator[tuple[int, int]]:
    """Yield the segments from `low` to below `high`, newest first, with a mask of the entries that match."""
    terms, alternatives = criteria.terms(), criteria.alternatives()
    if criteria.since is None and criteria.until is None:
        for first, above in _windows(low, high):
            yield from _intersections(first, above, terms, alternatives)
        return
    for spans in _spans(high, criteria, low):
        for first, above in _windows(min(spans), max(spans) + 1):
            for number, mask in _intersections(first, above, terms, alternatives):
                if mask and number in spans:
                    yield number, mask if spans[number].is_within(criteria) else mask & _mask_of_times(number, criteria)


def _windows(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Divide [low, high) into ranges, from its end: a short one, which is often enough, then long ones."""
    window = FIRST_WINDOW
    while high > low:
        start = max(low, high - window)
        yield start, high
        high, window = start, LARGEST_WINDOW


class Span(NamedTuple):
    """The earliest and the latest timestamp of a segment."""

    earliest: datetime
    latest: datetime

    def is_within(self, criteria: Criteria) -> bool:
        is_late_enough = criteria.since is None or self.earliest >= criteria.since
        return is_late_enough and (criteria.until is None or self.latest < criteria.until)


def _spans(high: int, criteria: Criteria, low: int = 0) -> Iterator[dict[int, Span]]:
    """Yield the segments from `low` to below `high` that overlap the times, newest first, many at once."""
    for above in range(high, low, -LARGEST_WINDOW):
        rows = Segment.objects.filter(number__gte=max(low, above - LARGEST_WINDOW), number__lt=above)
        rows = rows.filter(latest__gte=criteria.since) if criteria.since else rows
        rows = rows.filter(earliest__lt=criteria.until) if criteria.until else rows
        found = rows.order_by("-number").values_list("number", "earliest", "latest")
        if spans := {number: Span(earliest, latest) for number, earliest, latest in found}:
            yield spans


def _intersections(
    low: int, high: int, terms: Sequence[int], alternatives: Sequence[int] = ()
) -> Iterator[tuple[int, int]]:
    """Yield the segments in [low, high) that have all terms, newest first, with a mask of the entries that have them.

    If there are alternatives, an entry also needs one of them. Without terms, these are all segments. The first term
    should be the rarest: SQLite looks for the others only where it is.
    """
    if not terms and not alternatives:
        yield from ((number, ALL) for number in range(high - 1, low - 1, -1))
        return
    query, values = _query(low, high, terms, alternatives)
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        for number, rows in groupby(cursor.fetchall(), key=itemgetter(0)):
            # A segment has a row for each of the alternatives that occur in it.
            yield number, reduce(or_, (reduce(and_, map(to_mask, entries)) for _, *entries in rows))


def _query(low: int, high: int, terms: Sequence[int], alternatives: Sequence[int]) -> tuple[str, list[int]]:
    """Return the statement that reads the postings of all terms, and of the alternatives, with its values."""
    groups = [[one] for one in terms] + ([alternatives] if alternatives else [])
    aliases = [f"p{place}" for place in range(len(groups))]
    columns = ", ".join(f"{alias}.entries" for alias in aliases)
    tables = ", ".join(f"audit_posting {alias}" for alias in aliases)
    same = [
        f"{alias}.term {_one_of(group)} AND {alias}.segment >= %s AND {alias}.segment < %s"
        for alias, group in zip(aliases, groups, strict=True)
    ]
    same += [f"{alias}.segment = p0.segment" for alias in aliases[1:]]
    query = f"SELECT p0.segment, {columns} FROM {tables} WHERE {' AND '.join(same)} ORDER BY p0.segment DESC"  # noqa: S608
    return query, [value for group in groups for value in (*group, low, high)]


def _one_of(group: Sequence[int]) -> str:
    return "= %s" if len(group) == 1 else f"IN ({', '.join(['%s'] * len(group))})"


def _mask_of_times(number: int, criteria: Criteria) -> int:
    """Return a mask of the entries of a segment whose timestamps match."""
    packed = Segment.objects.values_list("timestamps", flat=True).get(pk=number)
    times = array("q", ZstdDecompressor().decompress(bytes(packed)))
    since = microseconds(criteria.since) if criteria.since else MIN
    until = microseconds(criteria.until) if criteria.until else MAX
    bits = "".join(["1" if since <= one < until else "0" for one in reversed(times)])
    return int(bits, 2)


def _lowest(number: int) -> int:
    """Return a mask of so many entries, the oldest of a segment."""
    return (1 << min(SEGMENT, number)) - 1


def _descending(mask: int) -> Iterator[int]:
    while mask:
        highest = mask.bit_length() - 1
        yield highest
        mask ^= 1 << highest
