"""Log entries in the admin site: who did what to whom, with names and links."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from accounts.models import User
from agents.models import Agent
from audit.readers.criteria import Criteria
from audit.readers.reading import AuditEntry
from audit.readers.search import Listing
from core.administration import url_id
from core.text import plain_text
from developers.models import Developer, Organization
from resources.models import ResourceServer

RECENT = 10
PAGES = {
    "usr": "accounts_user",
    "agt": "agents_agent",
    "org": "developers_organization",
    "dev": "developers_developer",
    "res": "resources_resourceserver",
}


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody whom an entry names. `url` is empty for one without a page."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    entry: AuditEntry
    url: str
    actor: Party | None
    actor_kind: str
    agent: Party | None
    user: Party | None
    organizations: Sequence[Party]
    reason: str
    stated: str
    """The reason that a person typed, such as an administrator for a stop."""


def recent_lines(criteria: Criteria, limit: int = RECENT) -> list[Line]:
    """Return the newest entries that match."""
    return log_lines(Listing(criteria).page("", limit)[0])


def log_lines(entries: Sequence[AuditEntry]) -> list[Line]:
    """Return a line for each entry, with the names that one query finds."""
    names = _names({one for entry in entries for one in _ids(entry)})
    return [_line(entry, names) for entry in entries]


def _line(entry: AuditEntry, names: dict[str, str]) -> Line:
    content = entry.content
    actor = content["actor"]
    return Line(
        entry=entry,
        url=reverse("admin:audit_entry_change", args=[url_id(entry.id)]),
        actor=_party(actor["id"], names),
        actor_kind=actor["kind"],
        agent=_party(entry.agent_id, names),
        user=_party(entry.user_id, names),
        organizations=[party for one in entry.organization_ids if (party := _party(one, names))],
        reason=content["reason"] or "",
        stated=plain_text(content["metadata"].get("reason")),
    )


def _ids(entry: AuditEntry) -> list[str]:
    known = (entry.content["actor"]["id"], entry.agent_id, entry.user_id, *entry.organization_ids)
    return [one for one in known if one]


def _party(pk: str | None, names: dict[str, str]) -> Party | None:
    if not pk:
        return None
    page = PAGES.get(pk.partition("_")[0])
    is_known = page is not None and pk in names
    return Party(names.get(pk, pk), reverse(f"admin:{page}_change", args=[url_id(pk)]) if is_known else "")


def _names(ids: set[str]) -> dict[str, str]:
    """Return the names of agents, organizations and developers, and the addresses of people."""
    wanted: tuple[tuple[Any, str, str], ...] = (
        (Agent.objects, "agt", "name"),
        (Organization.objects, "org", "name"),
        (User.objects, "usr", "email"),
        (Developer.objects, "dev", "user__email"),
        (ResourceServer.objects, "res", "name"),
    )
    found = []
    for rows, prefix, name in wanted:
        known = [one for one in ids if one.startswith(f"{prefix}_")]
        if known:
            found.append(rows.filter(pk__in=known).order_by().values_list("pk", name))
    rows = found[0].union(*found[1:], all=True) if found else ()
    return {pk: plain_text(name) for pk, name in rows}
