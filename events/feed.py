"""The feed: an organization's events in the order of their numbers, read from the log itself.

So it has what the follower has not routed yet, and works without a worker. The follower's milestones only make it
faster: they say in which segment of the log a number is.
"""

import sys
from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import batched, chain, islice
from typing import NamedTuple

import orjson
from django.utils.translation import gettext_noop

from audit.archiving.archived import ArchiveUnavailable
from audit.models import Entry, Posting
from audit.proof.members import ORGANIZATION, MissingEntry, Stream, read_rows, read_values
from audit.readers.finding import sizes
from audit.readers.reading import read_entries
from audit.sequencing import postings
from core.errors import Invalid
from core.wording import Filled
from events.following import COLUMNS, Row
from events.models import Milestone
from events.payload import Event, events_of
from events.types import is_wanted
from events.waiting import About, News, Watch

# With filters, a page can be empty. How many entries it looks at, and how many are read at once.
MAX_EXAMINED = 2000
ROWS_PER_QUERY = 500


class Wanted(NamedTuple):
    """Which events a reader wants: types and patterns, and agents. None stands for all."""

    types: Collection[str] | None = None
    agent_ids: Collection[str] | None = None

    def has(self, event: str, agent_id: str | None) -> bool:
        is_about = self.agent_ids is None or agent_id in self.agent_ids
        return is_about and (self.types is None or is_wanted(self.types, event))


class FeedPage(NamedTuple):
    """Events, and `next`, the number of the last entry that was looked at.

    `end` is the index of the log's newest entry at that time, and `is_last` whether the page looked at all up to it.
    """

    events: list[Event]
    next: int
    end: int
    is_last: bool


def read_feed(organization_id: str, wanted: Wanted, *, after: int, limit: int, field: str = "after") -> FeedPage:
    """Return up to `limit` events with a number greater than `after`.

    Raises `Invalid`, about this field, for a number that the organization's stream does not have yet, because a reader
    who waited for it would miss events. Raises `ArchiveUnavailable`.
    """
    try:
        end = sizes()[0] - 1
        indexes = _Reader(organization_id).indexes_after(after, end, field)
        chosen, last, is_last = _choose(organization_id, wanted, indexes, after, limit)
        entries = read_entries(read_rows(list(chosen)))
    except MissingEntry as error:  # a month is being moved into the archive, or the archive lacks it
        raise ArchiveUnavailable from error
    return FeedPage(events_of(list(zip(entries, chosen.values(), strict=True)), organization_id), last, end, is_last)


def await_events(organization_id: str, wanted: Wanted, page: FeedPage) -> str:
    """Return what a request with this page waits for, for `watch_events`."""
    types, agents = (None if one is None else sorted(one) for one in wanted)
    return orjson.dumps({"after": page.end, "organization": organization_id, "types": types, "agents": agents}).decode()


def watch_events() -> Watch:
    """Return what tells the front which requests for the feed have new events."""
    return Watch(_concerns)


def _concerns(about: About, news: News) -> bool:
    wanted = Wanted(about["types"], about["agents"])
    return about["organization"] in news.organization_ids and wanted.has(news.event, news.agent_id)


def _choose(
    organization_id: str, wanted: Wanted, indexes: Iterator[int], after: int, limit: int
) -> tuple[dict[int, int], int, bool]:
    """Return the wanted entries, each index with its number, the last number, and whether there are no more."""
    chosen: dict[int, int] = {}
    last, examined = after, 0
    at_once = limit if wanted == Wanted() else ROWS_PER_QUERY
    for some in batched(islice(indexes, MAX_EXAMINED), at_once):  # the last batch may be shorter
        for row in _rows(some):
            examined += 1
            number = _number(row, organization_id)
            if number is None or number <= after:
                continue
            last = number
            if wanted.has(row.event, row.agent_id):
                chosen[row.leaf_index] = number
            if len(chosen) == limit:
                return chosen, last, False
    return chosen, last, examined < MAX_EXAMINED


class _Reader:
    """Finds a number in an organization's stream."""

    def __init__(self, organization_id: str) -> None:
        self._id = organization_id
        self._stream = Stream(ORGANIZATION, organization_id)

    def indexes_after(self, after: int, end: int, field: str) -> Iterator[int]:
        """Return the indexes up to `end` of the entries with a greater number. A few others may come before them.

        Raises `Invalid` if the stream has fewer entries.
        """
        first, indexes = self._begin(self._segment_with(after) * postings.SEGMENT, end)
        newest = (first or 1) - 1
        for _ in range(after - newest):
            if next(indexes, None) is None:
                raise Invalid.field(field, Filled(gettext_noop("The last event has the number %(last)s."), last=newest))
            newest += 1
        return indexes

    def _begin(self, low: int, high: int) -> tuple[int | None, Iterator[int]]:
        """Return the number of the first entry from index `low` to `high`, if any, and the indexes from there."""
        indexes = self._stream.indexes(low, high)
        for index in indexes:
            number = _number(_rows([index])[0], self._id)
            if number is not None:
                return number, chain([index], indexes)
        return None, iter(())

    def _segment_with(self, after: int) -> int:
        """Return the segment of the entry with the next number, or an earlier one."""
        milestones = Milestone.objects.filter(organization_id=self._id).order_by("number")
        known = milestones.filter(number__gt=after).values_list("segment", flat=True).first()
        if known is not None:
            return int(known)
        followed = milestones.values_list("segment", flat=True).last() or 0
        rest = Posting.objects.filter(term=self._stream.term, segment__gt=followed).order_by("segment")
        segments: list[int] = list(rest.values_list("segment", flat=True))
        place = bisect_right(segments, after, key=self._first_number)
        return segments[place - 1] if place else followed

    def _first_number(self, segment: int) -> int:
        first = segment * postings.SEGMENT
        return self._begin(first, first + postings.SEGMENT - 1)[0] or sys.maxsize


def _rows(indexes: Collection[int]) -> list[Row]:
    wanted = list(indexes)
    return [Row(*row) for row in read_values(wanted, Entry.objects.filter(leaf_index__in=wanted), COLUMNS)]


def _number(row: Row, organization_id: str) -> int | None:
    """Return the number of an entry in the organization's stream, or None if it has none."""
    return row.number_in(organization_id) if organization_id in row.organization_ids else None
