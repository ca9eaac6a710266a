"""Reads of the log. A tenant's entries come only through these, so no view can forget whose they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from audit.disclosure import disclose, disclose_to_person
from audit.events import Event, Outcome
from audit.models import Entry, PersonalData


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to narrow a listing to; None leaves a field open. `since` is inclusive, `until` exclusive.

    `before` is the id of an entry: only older ones follow. It lets a listing begin deep in the log at no cost.
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
    # Both in one call, and ordered by the same column: the primary key of `Concern` then yields the page by itself.
    concerned = {"concerns__organization_id": organization_id}
    if filters.before:
        concerned["concerns__entry_id__lt"] = filters.before
    return _narrow(Entry.objects.filter(**concerned), filters).order_by("-concerns__entry_id")


def entries_for_user(user_id: str, filters: Filters | None = None) -> QuerySet[Entry]:
    """Return the entries about a person, newest first."""
    return _narrow(Entry.objects.filter(user_id=user_id), filters or Filters())


def describe(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return each entry's content with its personal data, where that has not been erased, in the same order."""
    rows = PersonalData.objects.filter(entry_id__in=[entry.id for entry in entries])
    personal = {row.entry_id: row.content for row in rows}
    return [{**entry.content, "personal": personal.get(entry.id, {})} for entry in entries]


def describe_for_person(entries: Sequence[Entry], user_id: str) -> list[dict[str, Any]]:
    """Return what `describe` does of entries about a person, without where anybody else was."""
    return [disclose_to_person(content, user_id) for content in describe(entries)]


def describe_for_organization(entries: Sequence[Entry], organization_id: str) -> list[dict[str, Any]]:
    """Return what `describe` does, as far as the organization may read it."""
    return [disclose(content, organization_id) for content in describe(entries)]


def last_uses(consent_ids: Iterable[str]) -> dict[str, datetime]:
    """Return when each consent last let its agent act; consents never used are left out.

    The log answers it: a verify that also wrote the consent's row could deadlock with whoever revokes it.
    """
    rows = (
        Entry.objects.filter(consent_id__in=list(consent_ids), event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED)
        .order_by()
        .values("consent_id")
        .annotate(last=Max("timestamp"))
    )
    return {row["consent_id"]: row["last"] for row in rows}


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
