"""The entries of one stream in the order of their numbers, read from postings and, after those, from columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from django.db.models import QuerySet

from audit.archiving.archived import archived_entries
from audit.models import Entry, Posting
from audit.sequencing import postings
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import SEGMENT

ROWS_PER_QUERY = 500
SEGMENTS_PER_QUERY = 200
ORGANIZATION, PERSON, CONNECTION = "organization", "person", "connection"
TERMS = {ORGANIZATION: postings.ORGANIZATION, PERSON: postings.USER, CONNECTION: postings.CONSENT}
# Finding the entries at the border of a period needs only these.
BULK = ("record", "opening", "sealed")


class MissingEntry(Exception):
    """An entry that the postings list is neither in the database nor in the archive."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The entries of an organization, a person or a connection, by its id."""

    kind: str
    id: str

    def has(self, entry: Entry) -> bool:
        if self.kind == ORGANIZATION:
            return self.id in entry.organization_ids
        return bool(self.id == (entry.user_id if self.kind == PERSON else entry.consent_id))

    @property
    def term(self) -> int:
        return postings.term(TERMS[self.kind], self.id)

    @property
    def columns(self) -> dict[str, str]:
        """Return the condition that its entries fulfil, and perhaps a few others."""
        if self.kind == ORGANIZATION:
            return {"organizations__contains": f"{self.id} "}
        return {"user_id" if self.kind == PERSON else "consent_id": self.id}

    def ascending(self, low: int, high: int, *, is_brief: bool = False) -> Iterator[Entry]:
        """Yield its entries from index `low` to `high`, inclusive. Brief ones lack what is long."""
        complete = complete_segments()
        indexes = self._listed(low, high, complete, is_descending=False)
        yield from self._read(indexes, is_brief=is_brief)
        yield from self._read(self._unlisted(max(low, complete * SEGMENT), high), is_brief=is_brief)

    def indexes(self, low: int, high: int) -> Iterator[int]:
        """Yield the indexes of its entries, and perhaps of some others, from index `low` to `high`, inclusive."""
        complete = complete_segments()
        yield from self._listed(low, high, complete, is_descending=False)
        yield from self._unlisted(max(low, complete * SEGMENT), high)

    def descending(self, high: int) -> Iterator[Entry]:
        """Yield its entries from index `high` down, brief ones."""
        complete = complete_segments()
        yield from self._read(reversed(list(self._unlisted(complete * SEGMENT, high))), is_brief=True)
        yield from self._read(self._listed(0, high, complete, is_descending=True), is_brief=True)

    def _read(self, indexes: Iterable[int], *, is_brief: bool) -> Iterator[Entry]:
        for chunk in batched(indexes, ROWS_PER_QUERY):
            yield from filter(self.has, read_rows(chunk, is_brief=is_brief))

    def _listed(self, low: int, high: int, complete: int, *, is_descending: bool) -> Iterator[int]:
        """Yield the indexes in the complete segments."""
        first, last = low // SEGMENT, min(high // SEGMENT, complete - 1)
        while first <= last:
            rows = Posting.objects.filter(term=self.term, segment__gte=first, segment__lte=last)
            found = list(rows.order_by("-segment" if is_descending else "segment")[:SEGMENTS_PER_QUERY])
            for row in found:
                mask = postings.to_mask(row.entries)
                for offset in postings.offsets_of(mask, newest_first=is_descending):
                    if low <= (index := row.segment * SEGMENT + offset) <= high:
                        yield index
            if len(found) < SEGMENTS_PER_QUERY:
                return
            first, last = (first, found[-1].segment - 1) if is_descending else (found[-1].segment + 1, last)

    def _unlisted(self, low: int, high: int) -> Iterator[int]:
        """Yield the indexes of the entries after the complete segments, which are few."""
        rows = Entry.objects.filter(leaf_index__gte=low, leaf_index__lte=high, **self.columns)
        yield from list(rows.order_by("leaf_index").values_list("leaf_index", flat=True))


def read_rows(indexes: Sequence[int], *, is_brief: bool = False) -> list[Entry]:
    """Return the entries with these indexes, in this order. Raises `MissingEntry` and `ArchiveUnavailable`."""
    rows: Any = Entry.objects.filter(leaf_index__in=indexes)
    found = {entry.leaf_index: entry for entry in (rows.defer(*BULK) if is_brief else rows)}
    found |= {entry.leaf_index: entry for entry in archived_entries([one for one in indexes if one not in found])}
    return _in_order(indexes, found)


def read_values(indexes: Sequence[int], stored: QuerySet[Entry], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return these columns of the entries with these indexes, in this order, without the cost of Django's models.

    `stored` are those of the entries that are not archived, and `columns` begin with `leaf_index`. Raises
    `MissingEntry` and `ArchiveUnavailable`.
    """
    found: dict[int, tuple[Any, ...]] = {row[0]: row for row in stored.values_list(*columns)}
    for entry in archived_entries([index for index in indexes if index not in found]):
        found[entry.leaf_index] = tuple(getattr(entry, name) for name in columns)
    return _in_order(indexes, found)


def _in_order[T](indexes: Sequence[int], found: Mapping[int, T]) -> list[T]:
    missing = [index for index in indexes if index not in found]
    if missing:
        raise MissingEntry(f"The entry with index {missing[0]} is missing.")
    return [found[index] for index in indexes]
