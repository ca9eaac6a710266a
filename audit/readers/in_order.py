"""The entries of the log in its order, for counting them.

Danger: this has what not every reader of an entry may see. Show counts only, and only to those whom they concern.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import orjson

from audit.entries.packing import unpack
from audit.entries.records import decode_opening
from audit.models import Entry, Segment
from audit.proof.members import read_values
from audit.readers.criteria import Criteria
from audit.readers.finding import indexes_from, sizes
from audit.sequencing.postings import SEGMENT

COLUMNS = ("leaf_index", "timestamp", "event", "outcome", "agent_id", "organizations", "record", "opening")


class Stretch(NamedTuple):
    """A stretch of the log. `end` is the index after the last one, `entries` those that were wanted.

    `last_at` is the time of the last one, or None if there is none.
    """

    end: int
    last_at: datetime | None
    entries: "Sequence[InOrder]"


class InOrder(NamedTuple):
    """An entry, without its personal data."""

    leaf_index: int
    at: datetime
    event: str
    outcome: str
    agent_id: str | None
    organizations: str
    packed: bytes
    opening: bytes

    @property
    def organization_ids(self) -> list[str]:
        """The organizations whose log contains the entry, as of `Entry`."""
        return self.organizations.split()

    def record(self) -> Mapping[str, Any]:
        """Return the record, parsed. Raises `ValueError` if it was damaged."""
        found: Mapping[str, Any] = orjson.loads(unpack(self.packed))
        return found

    def withheld(self) -> Mapping[str, Any]:
        """Return the withheld parts. Raises `ValueError` if they were damaged."""
        return decode_opening(self.opening)[0].withheld


def entries_from(first: int, limit: int, events: Collection[str]) -> Stretch:
    """Return up to `limit` entries from the index `first` on, so far as the sequencer has come.

    Only those of `events` are among its entries. Reads archived months, too. Raises `MissingEntry` and
    `ArchiveUnavailable`.
    """
    indexes = range(first, min(first + limit, sizes()[0]))
    rows = _rows(indexes) if indexes else []
    wanted = [row for row in rows if row.event in events]
    return Stretch(first + len(rows), rows[-1].at if rows else None, wanted)


def events_from(first: int, end: int, limit: int, events: Collection[str], indexed: int) -> Stretch:
    """Return up to `limit` entries of these events from the index `first` to below `end`. It reads no other entries.

    `indexed` is how many entries of the log have postings. Raises `MissingEntry` and `ArchiveUnavailable`.
    """
    indexes = list(islice(indexes_from(first, end, Criteria(events=events), indexed), limit))
    stored = Entry.objects.filter(leaf_index__in=indexes)
    rows = [InOrder(*row) for row in read_values(indexes, stored, COLUMNS)]
    is_whole = len(indexes) < limit
    return Stretch(
        end if is_whole else indexes[-1] + 1,
        rows[-1].at if rows else None,
        [row for row in rows if row.event in events],
    )


def first_index(since: datetime, indexed: int) -> int:
    """Return an index before which all entries are older. `indexed` is how many entries have postings."""
    found = Segment.objects.filter(latest__gte=since).order_by("number").first()
    return found.number * SEGMENT if found else indexed


def _rows(indexes: range) -> list[InOrder]:
    stored = Entry.objects.filter(leaf_index__gte=indexes[0], leaf_index__lte=indexes[-1]).order_by("leaf_index")
    return [InOrder(*row) for row in read_values(indexes, stored, COLUMNS)]
