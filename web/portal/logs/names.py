"""The names of an organization's own agents, policies, resource servers, developers and API keys, for its log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import BooleanField, F, Q, QuerySet, Value
from django.db.models.lookups import IsNull

from agents.models import Agent
from agents.selectors import agents_known_to
from core.text import plain_text
from developers.models import ApiKey, Developer
from policies.models import Policy
from resources.models import ResourceServer

# The number of newest names of each kind that are suggested.
MAX_SUGGESTED = 100
AGENT, POLICY, SERVER, DEVELOPER, KEY = "agt", "pol", "res", "dev", "key"
NOT_DELETED = Value(value=False, output_field=BooleanField())


@dataclass(frozen=True, slots=True)
class OwnNames:
    """Names by id, safe to display, newest first.

    `deleted` are the ids of agents that still have a name, but no longer a page.
    """

    organization_id: str
    names: Mapping[str, str]
    deleted: frozenset[str] = frozenset()

    def of_kind(self, prefix: str) -> dict[str, str]:
        """Return the names of one kind, such as all agents, by id."""
        return {pk: name for pk, name in self.names.items() if pk.startswith(f"{prefix}_")}

    def with_those_of(self, ids: Iterable[str | None]) -> "OwnNames":
        """Also return the names of these ids that the organization may know."""
        unknown = {one for one in ids if one and one not in self.names}
        own = _rows(self.organization_id)
        by_kind = {prefix: [one for one in unknown if one.startswith(f"{prefix}_")] for prefix in own}
        wanted = [_named(own[prefix].filter(pk__in=found)) for prefix, found in by_kind.items() if found]
        found = list(wanted[0].union(*wanted[1:], all=True)) if wanted else []
        names = {pk: plain_text(name) for pk, name, _is_deleted in found}
        return replace(self, names={**self.names, **names}, deleted=self.deleted | _deleted(found))

    def find(self, prefix: str, text: str) -> list[str]:
        """Return the ids of up to two objects of this kind with this name, ignoring case. Add agents' client ids."""
        known = Q(name__iexact=text) | Q(client_id=text) if prefix == AGENT else Q(name__iexact=text)
        return list(_rows(self.organization_id)[prefix].filter(known).values_list("pk", flat=True)[:2])


def suggested_names(developer: Developer) -> OwnNames:
    """Return the newest names of each kind in the developer's organization, in one query."""
    organization_id = developer.organization_id
    own = _rows(organization_id) | {AGENT: Agent.objects.filter(organization_id=organization_id)}
    # SQLite does not allow LIMIT within a UNION.
    newest = [rows.filter(pk__in=rows.order_by("-pk").values("pk")[:MAX_SUGGESTED]) for rows in own.values()]
    first, *others = map(_named, newest)
    found = sorted(first.union(*others, all=True), reverse=True)
    return OwnNames(organization_id, {pk: plain_text(name) for pk, name, _ in found}, _deleted(found))


def _rows(organization_id: str) -> dict[str, QuerySet[Any]]:
    """Return the rows whose names the organization may see, by id prefix. Its agents include stock clients."""
    return {
        AGENT: agents_known_to(organization_id),
        POLICY: Policy.objects.filter(organization_id=organization_id),
        SERVER: ResourceServer.objects.filter(organization_id=organization_id),
        DEVELOPER: Developer.objects.filter(organization_id=organization_id),
        KEY: ApiKey.objects.filter(organization_id=organization_id, developer=None),
    }


def _named(rows: QuerySet[Any]) -> QuerySet[Any]:
    named = F("user__name") if rows.model is Developer else F("name")
    is_deleted = IsNull(F("deleted_at"), rhs=False) if rows.model is Agent else NOT_DELETED
    return rows.order_by().values_list("pk", named, is_deleted)


def _deleted(found: Iterable[tuple[str, str, bool]]) -> frozenset[str]:
    return frozenset(pk for pk, _name, is_deleted in found if is_deleted)
