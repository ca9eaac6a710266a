"""Reads of the audit log. All views read a tenant's entries through these, so none can forget to filter by tenant."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

from audit.entries.drafts import Prepared
from audit.models import Checkpoint
from audit.readers.criteria import Criteria
from audit.readers.criteria import Filters as Filters  # callers pass it
from audit.readers.decided import Decided, Resolved, decisions_since
from audit.readers.disclosure import disclose_to_organization, disclose_to_user
from audit.readers.in_order import Stretch, entries_from, events_from, first_index
from audit.readers.occurred import find_events
from audit.readers.reading import AuditEntry, read_entry
from audit.readers.search import Listing, find_entry
from audit.readers.snapshot import Snapshot, take_snapshot
from core.errors import NotFound


def entries_for_organization(organization_id: str, filters: Filters | None = None) -> Listing:
    """Return the entries that concern the organization, newest first."""
    return Listing(Criteria(organization_id=organization_id, **asdict(filters or Filters())))


def newest_for_organization(log: Snapshot, organization_id: str, filters: Filters, limit: int) -> list[AuditEntry]:
    """Return up to `limit` entries that concern the organization, newest first, as they were at one moment."""
    return log.newest(Criteria(organization_id=organization_id, **asdict(filters)), limit)


def count_for_organization(log: Snapshot, organization_id: str, filters: Filters) -> int:
    """Return how many entries that concern the organization match, at the same moment.

    The index of the log counts: only the newest entries, which are not in it yet, are read.
    """
    return log.count(Criteria(organization_id=organization_id, **asdict(filters)))


def occurred_in_organization(
    organization_id: str,
    events: Collection[str],
    *,
    agent_id: str | None = None,
    journal: Iterable[Prepared] | None = None,
) -> set[str]:
    """Return those of the events that the organization's log has, of one agent or of all.

    `journal` has the waiting entries, newest first, if the page has read them already.
    """
    return find_events(Criteria(organization_id=organization_id, agent_id=agent_id), events, journal)


def entries_for_user(user_id: str, filters: Filters | None = None, *, hidden: frozenset[str] = frozenset()) -> Listing:
    """Return the entries about the user, newest first, without the events that a page hides."""
    return Listing(Criteria(**{**asdict(filters or Filters()), "user_id": user_id, "hidden": hidden}))


def decisions_for_organization(organization_id: str, since: datetime) -> Iterator[Decided | Resolved]:
    """Yield the decisions of verify that concern the organization, oldest first, for evaluating rules on them.

    Danger: developers may not read all that these have. Show them counts only.
    """
    return decisions_since(organization_id, since)


def entries_in_order(first: int, limit: int, events: Collection[str]) -> Stretch:
    """Return up to `limit` entries of the whole log from the index `first` on, of these events, for counting them.

    Danger: they are those of all tenants. Show a tenant only counts, and only of its own entries.
    """
    return entries_from(first, limit, events)


def newest_events(
    first: int | None, since: datetime, limit: int, events: Collection[str]
) -> tuple[Stretch, Sequence[Prepared] | None]:
    """Return up to `limit` entries of these events from the index `first` on, and those that wait in the journal.

    Those are None if the log has more. All that were committed before the call are among them, but those of long before
    `since` need not be. The log is shorter than `first` if it was restored: then that counts for nothing.

    Danger: they are those of all tenants. Show a tenant only what concerns it.
    """
    log = take_snapshot()
    start = 0 if first is None or first > log.size else first
    if start < log.indexed:
        start = max(start, first_index(since, log.indexed))
    found = events_from(start, log.size, limit, events, log.indexed)
    if found.end < log.size:
        return found, None
    return found, [one for one in reversed(log.prepared) if one.content["event"] in events]


def signed_at(indexes: Sequence[int]) -> list[datetime | None]:
    """Return when the first checkpoint with each of the entries was signed. They had been committed by then."""
    first = min(indexes, default=None)
    if first is None:
        return []
    signed = list(Checkpoint.objects.filter(size__gt=first).order_by("size").values_list("size", "created_at"))
    places = [bisect_right(signed, index, key=itemgetter(0)) for index in indexes]
    return [signed[place][1] if place < len(signed) else None for place in places]


def entry_for_organization(organization_id: str, entry_id: str) -> AuditEntry:
    """Return an entry that concerns the organization. Raises `NotFound`, even if it concerns another one."""
    return _entry(Criteria(organization_id=organization_id), entry_id)


def entry_for_user(user_id: str, entry_id: str) -> AuditEntry:
    """Return an entry about the user. Raises `NotFound`, even if it is about another one."""
    return _entry(Criteria(user_id=user_id), entry_id)


def describe_for_user(entries: Sequence[AuditEntry], user_id: str) -> list[dict[str, Any]]:
    """Return the content of entries about the user, without the IP addresses and user agents of other parties."""
    return [disclose_to_user(entry, user_id) for entry in entries]


def describe_for_organization(entries: Sequence[AuditEntry], organization_id: str) -> list[dict[str, Any]]:
    """Return those parts of the entries that the organization may read."""
    return [disclose_to_organization(entry, organization_id) for entry in entries]


def _entry(criteria: Criteria, entry_id: str) -> AuditEntry:
    found = find_entry(criteria, entry_id)
    if found is None:
        raise NotFound("No such log entry.")
    return read_entry(found)
