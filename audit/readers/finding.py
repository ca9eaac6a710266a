"""Finds entries in the log by its postings, and the newest ones, which have none yet, by their columns (`tail`)."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from itertools import batched, chain, groupby
from math import prod
from operator import and_, call, itemgetter, or_
from typing import Any, Self

from django.db import connection
from zstandard import ZstdDecompressor

from audit.archiving.archived import entries_at
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.tail import count_in_tail, newest_in_tail, parts_in_tail
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import MARKS, SEGMENT, mask_of_mark, microseconds, offsets_of, to_mask

# The numbers of segments that the first query reads at least, and each further one.
FIRST_READ, LARGEST_READ = 32, 4096
# Of one query, unless a single segment has more: an organization can have had thousands of agents.
MOST_ROWS = 65_536
ALL = -1
SIZES = """
    SELECT coalesce((SELECT leaf_index + 1 FROM audit_entry ORDER BY leaf_index DESC LIMIT 1), 0) AS size,
        coalesce((SELECT number + 1 FROM audit_segment ORDER BY number DESC LIMIT 1), 0) AS segments
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


def indexes_from(first: int, end: int, criteria: Criteria, indexed: int) -> Iterator[int]:
    """Yield the indexes from `first` to below `end` of all entries that match, and perhaps of some others, ascending.

    The criteria must have a term. For stretches that are not long: their postings are read at once.
    """
    bound = min(indexed, end)
    segments = list(_masks(-(-bound // SEGMENT), criteria, first // SEGMENT, LARGEST_READ)) if first < bound else []
    for number, mask in reversed(segments):
        start = number * SEGMENT
        mask &= _lowest(bound - start) & ~_lowest(max(0, first - start))
        yield from (start + offset for offset in offsets_of(mask, newest_first=False))
    yield from list(newest_in_tail(max(first, indexed), end, criteria, SEGMENT))[::-1]


def count_entries(low: int, high: int, criteria: Criteria, indexed: int | None = None) -> int:
    """Return how many entries with an index from `low` to `high`, exclusive, match. It reads none of them.

    The criteria must have a term. With a `scope`, entries whose action has the name of the scope count, too.
    """
    indexed = complete_segments() * SEGMENT if indexed is None else indexed
    found = count_in_tail(max(low, indexed), high, criteria)
    end = min(indexed, high)
    # All segments are read, so the first query reads as many as it can.
    for number, mask in _masks(-(-end // SEGMENT), criteria, low // SEGMENT, LARGEST_READ) if end > low else ():
        first = number * SEGMENT
        found += ((mask & _lowest(end - first)) >> max(0, low - first)).bit_count()
    return found


def newest_and_counts(
    end: int, criteria: Criteria, parts: Sequence[Criteria], indexed: int
) -> tuple[Entry | None, list[int]]:
    """Return the newest entry with an index lower than `end` that matches one of the parts, and how many match each.

    The criteria must have a term. Each part is the criteria with further filters that have a term: an outcome, or
    facets. It searches once for all of them.
    """
    newest, counts = None, [0] * len(parts)
    for index, matching in parts_in_tail(indexed, end, criteria, parts) if end > indexed else ():
        newest = index if newest is None and any(matching) else newest
        counts = [count + is_part for count, is_part in zip(counts, matching, strict=True)]
    further = [part.beyond(criteria) for part in parts]
    for first, masks in _masks_of_terms(min(indexed, end), criteria, [*chain(*chain(*further))]):
        of_parts = [reduce(and_, [_any_of(masks, group) for group in groups], ALL) for groups in further]
        newest = first + max(of_parts).bit_length() - 1 if newest is None and any(of_parts) else newest
        counts = [count + mask.bit_count() for count, mask in zip(counts, of_parts, strict=True)]
    return next(iter(entries_at([newest])), None) if newest is not None else None, counts


def _any_of(masks: Mapping[int, int], terms: Sequence[int]) -> int:
    return reduce(or_, (masks.get(one, 0) for one in terms))


def _masks_of_terms(end: int, criteria: Criteria, terms: Sequence[int]) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield the first index of each segment, newest first, with a mask for each of the terms.

    It has the entries below `end` that have the term and match the criteria. Segments without the terms are left out.
    """
    search, high = _Search.of(criteria, separate=[*dict.fromkeys(terms)]), -(-end // SEGMENT)
    while search and high > 0:
        rows, high = search.read(0, high, LARGEST_READ)
        for segment, postings in groupby(rows, key=itemgetter(0)):
            first = segment * SEGMENT
            masks: dict[int, int] = {}
            for term, group in groupby(sorted(postings, key=itemgetter(1)), key=itemgetter(1)):
                masks[term] = search.mask_of([*group]) & _lowest(end - first)
            yield first, masks


def _candidates(end: int, criteria: Criteria, batch: int, indexed: int) -> Iterator[int]:
    """Yield the indexes of all entries that match, and perhaps of some others, in descending order."""
    if not criteria.columns() and not criteria.has_facets:
        yield from range(end - 1, -1, -1)
        return
    if end > indexed:
        yield from newest_in_tail(indexed, end, criteria, batch)
    # Most searches have an entry in each segment that has their terms. Then one query is enough for the batch.
    # A request is in few of them.
    first_read = LARGEST_READ if criteria.mark is not None else max(FIRST_READ, batch)
    yield from _in_segments(min(indexed, end), criteria, first_read)


def _in_segments(end: int, criteria: Criteria, first_read: int) -> Iterator[int]:
    for number, mask in _masks(-(-end // SEGMENT), criteria, first_read=first_read):
        first = number * SEGMENT
        yield from (first + offset for offset in _descending(mask & _lowest(end - first)))


def _masks(high: int, criteria: Criteria, low: int = 0, first_read: int = FIRST_READ) -> Iterator[tuple[int, int]]:
    """Yield the segments from `low` to below `high`, newest first, with a mask of the entries that match.

    `first_read` is how many segments the first query reads.
    """
    search = _Search.of(criteria)
    if search is None:
        yield from ((number, ALL) for number in range(high - 1, low - 1, -1))
        return
    number = first_read
    while high > low:
        rows, high = search.read(low, high, number)
        for segment, postings in groupby(rows, key=itemgetter(0)):
            if mask := search.mask_of([*postings]):
                yield segment, mask
        number = LARGEST_READ


@dataclass(frozen=True, slots=True)
class _Search:
    """A search in the postings. An entry that matches has a term of each group.

    The first term should be the rarest: SQLite looks for the others only where it is.
    """

    groups: Sequence[Sequence[int]]
    decoders: Sequence[Callable[[bytes], int]]
    alternatives: int
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, criteria: Criteria, separate: Sequence[int] = ()) -> Self | None:
        """Return the search, or None if the postings and the times of segments cannot tell what matches.

        Each row names the one of the `separate` terms that it is for. If there are any, a match has one of them at
        least.
        """
        alternatives = criteria.alternatives()
        groups = [*[[one] for one in criteria.terms()], *alternatives]
        decoders: list[Callable[[bytes], int]] = [to_mask] * len(groups)
        if criteria.mark is not None:
            groups.append([MARKS])
            decoders.append(partial(mask_of_mark, mark=criteria.mark))
        if separate:
            groups, decoders = [*groups, list(separate)], [*decoders, to_mask]
            alternatives = [*alternatives, list(separate)]
        is_timed = criteria.since is not None or criteria.until is not None
        if not groups and not is_timed:
            return None
        return cls(groups, decoders, prod(map(len, alternatives)), criteria.since, criteria.until)

    def read(self, low: int, high: int, number: int) -> tuple[list[tuple[Any, ...]], int]:
        """Return the rows of the newest segments in [low, high), `number` or more, and where to go on below.

        A row has the segment, the term of the last group, the postings of each group, and the packed timestamps.
        A segment has up to `alternatives` rows, one for each way to match, and all are returned. So fewer segments are
        read if there are many ways.
        """
        limit = min(number * self.alternatives, max(self.alternatives, MOST_ROWS)) + 1
        query, values = self._query(low, high)
        with connection.cursor() as cursor:
            cursor.execute(f"{query} LIMIT %s", [*values, limit])
            rows = cursor.fetchall()
        if len(rows) < limit:
            return rows, low
        last = rows[-1][0]
        return [row for row in rows if row[0] > last], last + 1

    def mask_of(self, rows: Sequence[Sequence[Any]]) -> int:
        """Return a mask of the entries of a segment that match, given all its rows or those with one term."""
        mask = reduce(or_, (reduce(and_, map(call, self.decoders, entries), ALL) for _, _, *entries, _ in rows))
        packed = rows[0][-1]
        return mask & self._mask_of_times(packed) if mask and packed is not None else mask

    def _query(self, low: int, high: int) -> tuple[str, list[Any]]:
        """Return the statement for the postings of all terms, and the timestamps of segments at an end of the times."""
        tables = [(f"audit_posting p{place}", f"p{place}.segment") for place in range(len(self.groups))]
        tables += [("audit_segment s", "s.number")] if self.is_timed else []
        first = tables[0][1]
        conditions = [f"{number} >= %s AND {number} < %s" for _, number in tables]
        conditions += [f"{number} = {first}" for _, number in tables[1:]]
        conditions += [f"p{place}.term {_one_of(group)}" for place, group in enumerate(self.groups)]
        values = [*[low, high] * len(tables), *chain.from_iterable(self.groups)]
        within, times, bounds = self._times()
        term = f"p{len(self.groups) - 1}.term" if self.groups else "0"
        columns = ", ".join([first, term, *[f"p{place}.entries" for place in range(len(self.groups))], times])
        # SQLite reads tables in the order of a CROSS JOIN, so it finds the newest segments first and need not sort.
        joined = " CROSS JOIN ".join(table for table, _ in tables)
        where = " AND ".join([*conditions, *within])
        query = f"SELECT {columns} FROM {joined} WHERE {where} ORDER BY {first} DESC"  # noqa: S608
        return query, [*bounds, *values, *bounds]

    @property
    def is_timed(self) -> bool:
        return self.since is not None or self.until is not None

    def _times(self) -> tuple[list[str], str, list[Any]]:
        """Return the conditions on a segment's times, the column with its timestamps, and the values of each.

        The column is NULL if all entries of the segment are within the times.
        """
        bounds = {"s.latest >= %s": self.since, "s.earliest < %s": self.until}
        within = [condition for condition, bound in bounds.items() if bound is not None]
        if not within:
            return [], "NULL", []
        beyond = {"s.earliest < %s": self.since, "s.latest >= %s": self.until}
        cut = " OR ".join(condition for condition, bound in beyond.items() if bound is not None)
        values = [connection.ops.adapt_datetimefield_value(one) for one in (self.since, self.until) if one is not None]
        return within, f"CASE WHEN {cut} THEN s.timestamps END", values

    def _mask_of_times(self, packed: bytes) -> int:
        """Return a mask of the entries whose timestamps match."""
        times = array("q", ZstdDecompressor().decompress(bytes(packed)))
        since = microseconds(self.since) if self.since else MIN
        until = microseconds(self.until) if self.until else MAX
        bits = "".join(["1" if since <= one < until else "0" for one in reversed(times)])
        return int(bits, 2)


def _one_of(group: Sequence[int]) -> str:
    return "= %s" if len(group) == 1 else f"IN ({', '.join(['%s'] * len(group))})"


def _lowest(number: int) -> int:
    """Return a mask of the `number` oldest entries of a segment."""
    return (1 << min(SEGMENT, number)) - 1


def _descending(mask: int) -> Iterator[int]:
    while mask:
        highest = mask.bit_length() - 1
        yield highest
        mask ^= 1 << highest
