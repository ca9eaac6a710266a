"""Pages of the log, newest first: what is still in the journal, then what is in the log.

While a page is read, the sequencer can move entries from one to the other, so the journal is read first. An entry that
is in both is taken from the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from audit.archiving.archived import archived_entry
from audit.entries.drafts import Prepared
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.finding import entries_below, sizes
from audit.readers.reading import AuditEntry, read_entries
from audit.readers.waiting import find_moved, listed_waiting, waiting_entries


class UnknownCursor(Exception):
    """The cursor is not the id of an entry in the log that is searched."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries that match the criteria, newest first."""

    criteria: Criteria

    def page(self, cursor: str, limit: int) -> tuple[list[AuditEntry], str]:
        """Return up to `limit` entries after the cursor, and the cursor of the next page.

        A cursor is the id of the last entry of a page. An empty one starts the list, and an empty returned one ends it.
        Raises `UnknownCursor`.
        """
        found = _find(self.criteria, cursor, limit + 1)
        entries = read_entries(found[:limit])
        return entries, entries[-1].id if len(found) > limit else ""

    def pages(self, size: int) -> Iterator[list[AuditEntry]]:
        """Yield all entries, up to `size` at a time."""
        cursor = ""
        while True:
            entries, cursor = self.page(cursor, size)
            yield entries
            if not cursor:
                return

    def __iter__(self) -> Iterator[AuditEntry]:
        return chain.from_iterable(self.pages(200))


def find_entry(criteria: Criteria, entry_id: str) -> Entry | Prepared | None:
    """Return the entry, from the journal or the log, or None if there is none that matches the criteria."""
    found = (
        _entry_in_log(criteria, entry_id)
        or next((one for one in waiting_entries() if _is_one(one, criteria, entry_id)), None)
        or _entry_in_log(criteria, entry_id)  # moved since
    )
    listed = listed_waiting(found) if isinstance(found, Prepared) else found
    return found if listed and criteria.matches(listed) else None


def _find(criteria: Criteria, cursor: str, number: int) -> list[Entry | Prepared]:
    """Return up to `number` entries after the cursor."""
    place = _place_in_log(criteria, cursor)
    if place is not None:
        return [*_take(criteria, place.end, number, place.indexed)]
    waiting = waiting_entries()
    if cursor and not any(_is_one(one, criteria, cursor) for one in waiting):  # leaves those after the cursor
        place = _place_in_log(criteria, cursor)  # moved since
        if place is None:
            raise UnknownCursor(cursor)
        return [*_take(criteria, place.end, number, place.indexed)]
    found, end, indexed = _take_waiting(criteria, waiting, number)
    place = _place_in_log(criteria, cursor)
    start = end if place is None else min(place.end, end)
    return [*found, *_take(criteria, start, number - len(found), indexed)]


def _take_waiting(criteria: Criteria, waiting: Iterator[Prepared], number: int) -> tuple[list[Prepared], int, int]:
    """Return up to `number` entries that are still in the journal, and the `sizes` of the log at that moment."""
    matching = (one for one in waiting if criteria.matches(listed_waiting(one)))
    found: list[Prepared] = []
    while True:
        wanted = number - len(found)
        more = list(islice(matching, wanted))
        end, indexed = sizes()
        found += more
        moved = find_moved(found, end)
        found = [one for one in found if one.id not in moved]
        if len(more) < wanted or len(found) == number:
            return found, end, indexed


def _take(criteria: Criteria, end: int, number: int, indexed: int | None) -> list[Entry]:
    return list(islice(entries_below(end, criteria, number, indexed), number)) if number else []


def _entry_in_log(criteria: Criteria, entry_id: str) -> Entry | None:
    entry: Entry | None = Entry.objects.filter(pk=entry_id).first() or archived_entry(entry_id)
    return entry if entry and _is_that(entry, criteria, entry_id) else None


def _is_that(entry: Entry, criteria: Criteria, entry_id: str) -> bool:
    # The column has only the digits of an id.
    return entry.id == entry_id and criteria.is_tenant_of(entry)


class _Place(NamedTuple):
    """The index of an entry, and how many entries had postings at some time before, if that is known."""

    end: int
    indexed: int | None


def _place_in_log(criteria: Criteria, cursor: str) -> _Place | None:
    if not cursor:
        return None
    stored = Entry.objects.filter(pk=cursor).first()
    entry = stored or archived_entry(cursor)
    if entry is None or not _is_that(entry, criteria, cursor):
        return None
    # A month is archived only once all its entries have postings, and so have all before them.
    return _Place(entry.leaf_index, None if stored else entry.leaf_index)


def _is_one(entry: Prepared, criteria: Criteria, entry_id: str) -> bool:
    return entry.id == entry_id and criteria.is_tenant_of(listed_waiting(entry))
