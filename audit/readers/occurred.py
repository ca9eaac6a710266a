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

# Rows of postings to read: one for each event in each segment that has the criteria's terms. An event that occurred
# only before these is not found.
MAX_ROWS = 4096


def find_events(criteria: Criteria, events: Collection[str], waiting: Iterable[Prepared] | None = None) -> set[str]:
    """Return those of the events of which an entry matches the criteria, by three queries whatever their number.

    The criteria must have a term, and neither events nor facets nor times. `waiting` is the journal, if it has been
    read. It must have been read before the log.
    """
    found = _find_waiting(criteria, events, waiting_entries() if waiting is None else waiting)
    first = complete_segments() * SEGMENT
    if missing := set(events) - found:
        rows = Entry.objects.filter(**criteria.columns(), leaf_index__gte=first, event__in=missing)
        found |= set(rows.order_by().values_list("event", flat=True).distinct())
    if first and (missing := set(events) - found):
        found |= _find_in_segments(criteria, missing)
    return found


def _find_waiting(criteria: Criteria, events: Collection[str], waiting: Iterable[Prepared]) -> set[str]:
    found: set[str] = set()
    for entry in map(listed_waiting, waiting):
        if entry.event in events and criteria.matches(entry):
            found.add(entry.event)
            if len(found) == len(events):
                break
    return found


def _find_in_segments(criteria: Criteria, events: Collection[str]) -> set[str]:
    names = {term(EVENT, event): event for event in events}
    found: set[str] = set()
    for event, *entries in _postings(criteria.terms(), list(names)):
        if names[event] not in found and reduce(and_, map(to_mask, entries)):
            found.add(names[event])
    return found


def _postings(terms: Collection[int], events: Collection[int]) -> list[tuple[int, *tuple[bytes, ...]]]:
    """Return the postings of each event beside those of the terms, newest segment first."""
    tables = [f"p{place}" for place in range(len(terms))]
    columns = ", ".join(["e.term", "e.entries", *[f"{table}.entries" for table in tables]])
    joined = " CROSS JOIN ".join(f"audit_posting {table}" for table in [*tables, "e"])
    conditions = [f"{table}.term = %s AND {table}.segment = e.segment" for table in tables]
    conditions.append(f"e.term IN ({', '.join(['%s'] * len(events))})")
    where = " AND ".join(conditions)
    query = f"SELECT {columns} FROM {joined} WHERE {where} ORDER BY p0.segment DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(query, [*terms, *events, MAX_ROWS])
        rows: list[tuple[int, *tuple[bytes, ...]]] = cursor.fetchall()
    return rows
