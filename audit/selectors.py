"""Reads of the audit log. All views read a tenant's entries through these, so none can forget to filter by tenant.

Each first copies from the journal what was decided before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from audit.disclosure import disclose_to_organization, disclose_to_user
from audit.models import Entry
from audit.models import Stream as LastUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Filters of a listing. None matches everything. `since` is inclusive, `until` exclusive.

    `before` is the id of an entry and matches older ones. A listing that starts deep in the log costs nothing extra.
    """

    agent_id: str | None = None
    user_id: str | None = None
    event: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None


def entries_for_organization(organization_id: str, filters: Filters | None = None) -> QuerySet[Entry]:
    """Return the entries that concern the organization, newest first."""
    filters = filters or Filters()
    # With both conditions in one call, and ordering by the same column, the primary key of `Concern` yields the page.
    concerned = {"concerns__organization_id": organization_id}
    if filters.before:
        concerned["concerns__entry_id__lt"] = filters.before
    return _narrow(Entry.objects.filter(**concerned), filters).order_by("-concerns__entry_id")


def entries_for_user(user_id: str, filters: Filters | None = None) -> QuerySet[Entry]:
    """Return the entries about the user, newest first."""
    return _narrow(Entry.objects.filter(user_id=user_id), filters or Filters())


def describe(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the content of each entry, in order, with its personal data unless erased."""
    return [{**entry.content, "personal": entry.personal} for entry in entries]


def describe_for_user(entries: Sequence[Entry], user_id: str) -> list[dict[str, Any]]:
    """Return the content of entries about the user, without the IP addresses and user agents of other parties."""
    return [disclose_to_user(content, user_id) for content in describe(entries)]


def describe_for_organization(entries: Sequence[Entry], organization_id: str) -> list[dict[str, Any]]:
    """Return those parts of the entries that the organization may read."""
    return [disclose_to_organization(content, organization_id) for content in describe(entries)]


def last_use(consent_id: OuterRef) -> Subquery:
    """Return when the consent of the outer query last allowed its agent a request, or NULL if never."""
    return Subquery(LastUse.objects.filter(pk=consent_id).values("used_at"))


def _narrow(entries: QuerySet[Entry], filters: Filters) -> QuerySet[Entry]:
    wanted = {
        "agent_id": filters.agent_id,
        "user_id": filters.user_id,
        "event": filters.event,
        "outcome": filters.outcome,
        "timestamp__gte": filters.since,
        "timestamp__lt": filters.until,
        "pk__lt": filters.before,
    }
    return entries.filter(**{name: value for name, value in wanted.items() if value is not None}).order_by("-id")
