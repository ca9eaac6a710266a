"""The newest entries of the log, which have no postings yet: fewer than a segment has. Their columns find them.

What readers filter by besides the columns is in the record and has to be unpacked. Entries do not change, so each
process keeps it: the next search reads only the entries that are new since.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from audit.entries.facets import Facets
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.sequencing.postings import SEGMENT

# Each takes about a kilobyte.
MOST_KEPT = 2 * SEGMENT

_kept: dict[str, Facets] = {}
_lock = threading.Lock()


def count_in_tail(first: int, end: int, criteria: Criteria) -> int:
    """Return how many entries with an index from `first` to below `end` match."""
    if end <= first:
        return 0
    rows = _rows(first, end, criteria)
    return sum(1 for _ in _with_facets(rows, criteria)) if criteria.has_facets else int(rows.count())


def newest_in_tail(first: int, end: int, criteria: Criteria, batch: int) -> Iterator[int]:
    """Yield the indexes of the same entries, newest first. They are read `batch` at a time, or all for facets."""
    rows = _rows(first, end, criteria).order_by("-leaf_index")
    if criteria.has_facets:
        yield from _with_facets(rows, criteria)
        return
    while end > first:
        found = list(rows.filter(leaf_index__lt=end).values_list("leaf_index", flat=True)[:batch])
        yield from found
        end = found[-1] if len(found) == batch else first


def parts_in_tail(
    first: int, end: int, criteria: Criteria, parts: Sequence[Criteria]
) -> Iterator[tuple[int, list[bool]]]:
    """Yield the indexes of the same entries, newest first, each with whether it matches each of the parts.

    The parts are the criteria with further facets, or an outcome.
    """
    rows = _rows(first, end, criteria).order_by("-leaf_index")
    listed = list(rows.values_list("leaf_index", "id", "outcome"))
    facets = _facets_of(rows, [(index, entry_id) for index, entry_id, _ in listed])
    for index, entry_id, outcome in listed:
        if criteria.matches_facets(found := facets[entry_id]):
            yield index, [part.outcome in (None, outcome) and part.matches_facets(found) for part in parts]


def _rows(first: int, end: int, criteria: Criteria) -> Any:
    return Entry.objects.filter(**criteria.columns(), leaf_index__gte=first, leaf_index__lt=end)


def _with_facets(rows: Any, criteria: Criteria) -> Iterator[int]:
    """Yield the indexes of the rows whose facets match, in the order of the rows."""
    listed = list(rows.values_list("leaf_index", "id"))
    facets = _facets_of(rows, listed)
    yield from (index for index, entry_id in listed if criteria.matches_facets(facets[entry_id]))


def _facets_of(rows: Any, listed: Sequence[tuple[int, str]]) -> Mapping[str, Facets]:
    """Return the facets of the rows, given their indexes and ids. Those that are not known are read by one query."""
    known = {entry_id: kept for _, entry_id in listed if (kept := _kept.get(entry_id)) is not None}
    unknown = [index for index, entry_id in listed if entry_id not in known]
    if not unknown:
        return known
    unread = rows.filter(leaf_index__gte=min(unknown), leaf_index__lte=max(unknown)).only("id", "record", "opening")
    read = {entry.id: entry.facets for entry in unread if entry.id not in known}
    _keep(read)
    return known | read


def _keep(read: Mapping[str, Facets]) -> None:
    """Keep what was read, and forget what has been kept the longest."""
    with _lock:
        _kept.update(read)
        for entry_id in list(islice(_kept, max(0, len(_kept) - MOST_KEPT))):
            del _kept[entry_id]
