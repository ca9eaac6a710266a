"""Which events occurred at all: for pages that only need to know whether there is an entry."""

from collections.abc import Collection, Iterable
from functools import reduce
from operator import and_

from django.db import connection

from audit.entries.drafts import Prepared
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.waiting import listed_waiting, waiting_entries
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import EVENT, SEGMENT, term, to_mask

# The number of segments that are read at once, newest first: all of a log with four million entries.
READ = 1024


def find_events(criteria: Criteria, events: Collection[str], waiting: Iterable[Prepared] | None = None) -> set[str]:
    """Return the events that have an entry which matches the criteria. The number of queries is small and fixed.

    The criteria must have a term, and neither events nor facets nor times. `waiting` is the journal, if it has been
    read. It must have been read before the log.
    """
    found = _find_waiting(criteria, events, waiting_entries() if waiting is None else waiting)
    segments = complete_segments()
    if missing := set(events) - found:
        rows = Entry.objects.filter(**criteria.columns(), leaf_index__gte=segments * SEGMENT, event__in=missing)
        found |= set(rows.order_by().values_list("event", flat=True).distinct())
    if missing := set(events) - found:
        found |= _find_in_segments(criteria, missing, segments)
    return found


def _find_waiting(criteria: Criteria, events: Collection[str], waiting: Iterable[Prepared]) -> set[str]:
    found: set[str] = set()
    for entry in map(listed_waiting, waiting):
        if entry.event in events and criteria.matches(entry):
            found.add(entry.event)
            if len(found) == len(events):
                break
    return found


def _find_in_segments(criteria: Criteria, events: Collection[str], end: int) -> set[str]:
    """Return those of the events that occurred in the segments before `end`."""
    names = {term(EVENT, event): event for event in events}
    found: set[str] = set()
    while end and (missing := [one for one, name in names.items() if name not in found]):
        limit = READ * len(missing) + 1
        rows = _postings(criteria.terms(), missing, end, limit)
        for _, event, *entries in rows:
            if names[event] not in found and reduce(and_, map(to_mask, entries)):
                found.add(names[event])
        # The last segment may have rows that were not read.
        end = rows[-1][0] + 1 if len(rows) == limit else 0
    return found


def _postings(
    terms: Collection[int], events: Collection[int], end: int, limit: int
) -> list[tuple[int, int, *tuple[bytes, ...]]]:
    """Return the segment, the event, and the postings of the event and of the terms, newest segment first.

    There is a row for each event in each segment that has the terms.
    """
    tables = [f"p{place}" for place in range(len(terms))]
    columns = ", ".join(["e.segment", "e.term", "e.entries", *[f"{table}.entries" for table in tables]])
    joined = " CROSS JOIN ".join(f"audit_posting {table}" for table in [*tables, "e"])
    conditions = [f"{table}.term = %s AND {table}.segment = e.segment" for table in tables]
    conditions.append(f"e.term IN ({', '.join(['%s'] * len(events))}) AND p0.segment < %s")
    where = " AND ".join(conditions)
    query = f"SELECT {columns} FROM {joined} WHERE {where} ORDER BY p0.segment DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, [*terms, *events, end, limit])
        rows: list[tuple[int, int, *tuple[bytes, ...]]] = cursor.fetchall()
    return rows
