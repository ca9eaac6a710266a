"""The names of an organization's own agents, policies, resource servers and developers, for its log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet

from agents.models import Agent
from core.text import plain_text
from developers.models import Developer
from policies.models import Policy
from resources.models import ResourceServer

# So many of each kind are suggested, the newest.
MAX_SUGGESTED = 100
AGENT, POLICY, SERVER, DEVELOPER = "agt", "pol", "res", "dev"


@dataclass(frozen=True, slots=True)
class OwnNames:
    """Names by id, safe to display, newest first."""

    organization_id: str
    names: Mapping[str, str]

    def of_kind(self, prefix: str) -> dict[str, str]:
        """Return the names of all agents, for example, by id."""
        return {pk: name for pk, name in self.names.items() if pk.startswith(f"{prefix}_")}

    def with_those_of(self, ids: Iterable[str | None]) -> "OwnNames":
        """Return also the names that these ids have, as far as the organization may know them."""
        unknown = {one for one in ids if one and one not in self.names}
        own = _rows(self.organization_id)
        by_kind = {prefix: [one for one in unknown if one.startswith(f"{prefix}_")] for prefix in own}
        wanted = [_named(own[prefix].filter(pk__in=found)) for prefix, found in by_kind.items() if found]
        return OwnNames(self.organization_id, {**self.names, **_read(wanted)})

    def find(self, prefix: str, text: str) -> list[str]:
        """Return the ids of up to two objects of this kind with this name or, of agents, this client id."""
        known = Q(name=text) | Q(client_id=text) if prefix == AGENT else Q(name=text)
        return list(_rows(self.organization_id)[prefix].filter(known).values_list("pk", flat=True)[:2])


def suggested_names(organization_id: str) -> OwnNames:
    """Return the newest names of each kind, by one query."""
    own = _rows(organization_id) | {AGENT: Agent.objects.filter(organization_id=organization_id)}
    # SQLite has no limits within a union.
    newest = (rows.filter(pk__in=rows.order_by("-pk").values("pk")[:MAX_SUGGESTED]) for rows in own.values())
    found = _read([_named(rows) for rows in newest])
    return OwnNames(organization_id, dict(sorted(found.items(), reverse=True)))


def _rows(organization_id: str) -> dict[str, QuerySet[Any]]:
    """Return the rows that the organization may name, by the prefix of their ids. Its agents include stock clients."""
    return {
        AGENT: Agent.objects.filter(Q(organization_id=organization_id) | Q(organization=None)),
        POLICY: Policy.objects.filter(organization_id=organization_id),
        SERVER: ResourceServer.objects.filter(organization_id=organization_id),
        DEVELOPER: Developer.objects.filter(organization_id=organization_id),
    }


def _named(rows: QuerySet[Any]) -> QuerySet[Any]:
    named = F("user__name") if rows.model is Developer else F("name")
    return rows.order_by().values_list("pk", named)


def _read(wanted: list[QuerySet[Any]]) -> dict[str, str]:
    if not wanted:
        return {}
    return {pk: plain_text(name) for pk, name in wanted[0].union(*wanted[1:], all=True)}
