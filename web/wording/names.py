"""Names for the ids in the audit log."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.db.models import QuerySet

from agents.models import Agent
from agents.selectors import agents_known_to
from audit.events import Event
from core.text import plain_text
from developers.models import Organization
from policies.models import Policy
from resources.catalogue import Scope, describe_scopes, local_title

NOTHING: Mapping[str, str] = MappingProxyType({})
CHANGES = frozenset({Event.CONSENT_APPROVED, Event.CONSENT_NARROWED})


def names_by_id(*wanted: tuple[QuerySet[Any], Iterable[str | None]]) -> dict[str, str]:
    """Return the names of the rows with these ids, safe to display. One query reads all kinds of rows."""
    return read_names(
        rows.filter(pk__in=known).order_by().values_list("pk", "name")
        for rows, ids in wanted
        if (known := {one for one in ids if one})
    )


def read_names(queries: Iterable[QuerySet[Any, Any]]) -> dict[str, str]:
    """Return the names of the ids that the queries find, safe to display. One query reads them all."""
    found = list(queries)
    return {pk: plain_text(name) for pk, name in found[0].union(*found[1:], all=True)} if found else {}


def scope_titles(ids: Iterable[str]) -> dict[str, str]:
    """Return the title of each known scope, safe to display."""
    return {scope.id: plain_text(scope.local_title) for scope in describe_scopes(ids)}


def add_names(
    entries: list[dict[str, Any]],
    *,
    organization_id: str | None = None,
    agent_names: Mapping[str, str] = NOTHING,
    known_scopes: Iterable[Scope] = (),
    with_services: bool = False,
) -> list[dict[str, Any]]:
    """Return the entries with `agentName`, `policyName`, `isPolicyKnown`, `serviceNames` and scope titles.

    `knownScopes` are the texts of an entry's scopes that exist, and `chainNames` the agents of its chain, from the
    first one to the one that acted, or nothing if the work was not handed on.

    An unknown name is replaced with the id. Unknown services are left out, and without `with_services` all are unknown.

    If an organization is given, only its own agents and stock clients are named, not the agents of others. Agents in
    `agent_names` and scopes in `known_scopes` are not looked up. A policy has the name that it had when it denied. It
    is known if it still exists, which is shown only to an organization.
    """
    agents = {one for entry in entries for one in (entry["agentId"], *_chain_of(entry))}
    unknown = agents.difference(agent_names)
    is_asked = organization_id is not None
    policies = (entry["policyId"] for entry in entries if is_asked or "policyName" not in entry["metadata"])
    services = (one for entry in entries for one in entry["serviceOrganizationIds"]) if with_services else ()
    # Ids of different kinds differ.
    found = names_by_id(
        (Agent.objects.all() if organization_id is None else agents_known_to(organization_id), unknown),
        (Policy.objects.all(), policies),
        (Organization.objects.all(), services),
    )
    names = {**agent_names, **found}
    scopes = {scope.id: scope for scope in known_scopes}
    unknown_scopes = {scope for entry in entries for scope in _scopes_in(entry)}.difference(scopes)
    scopes |= {scope.id: scope for scope in describe_scopes(unknown_scopes)}
    titles = {scope.id: plain_text(scope.local_title) for scope in scopes.values()}
    named = [_with_names(entry, names, titles) for entry in entries]
    return [entry | {"knownScopes": [scopes[one] for one in entry["scopes"] if one in scopes]} for entry in named]


def _with_names(entry: dict[str, Any], names: Mapping[str, str], titles: Mapping[str, str]) -> dict[str, Any]:
    # An approval uses the titles that the screen showed, and a removed scope uses the title that the user agreed to,
    # even if the scopes have been renamed since.
    titles = {**titles, **_words(entry, "shownScopes")}
    ended = {**titles, **_words(entry, "endedScopes")}
    return {
        **entry,
        "agentName": _name_of(entry["agentId"], names),
        "chainNames": [_name_of(agent_id, names) for agent_id in _chain_of(entry)],
        "policyName": plain_text(entry["metadata"].get("policyName")) or _name_of(entry["policyId"], names),
        "isPolicyKnown": entry["policyId"] in names,
        "serviceNames": [names[one] for one in entry["serviceOrganizationIds"] if one in names],
        "scopeTitles": _titled(entry["scopes"], titles),
        "addedTitles": _titled(_changed(entry, "added"), titles),
        "rewordedTitles": _titled(_changed(entry, "reworded"), titles),
        "removedTitles": _titled(_changed(entry, "removed"), ended),
        "withdrawnTitles": _titled(_changed(entry, "withdrawn"), ended),
    }


def _name_of(pk: str | None, names: Mapping[str, str]) -> str:
    return names.get(pk, pk) if pk else ""


def _chain_of(entry: dict[str, Any]) -> list[str]:
    """Return the ids of the agents of a chain, or nothing if the work was not handed on."""
    return [link["agentId"] for link in entry.get("chain", ())]


def _scopes_in(entry: dict[str, Any]) -> list[str]:
    return [*entry["scopes"], *_changed(entry, "added"), *_changed(entry, "removed")]


def _words(entry: dict[str, Any], field: str) -> dict[str, str]:
    """Return the titles that are recorded in the entry itself."""
    recorded = entry["metadata"].get(field, ())
    return {one["id"]: plain_text(local_title(one["title"], one["definedBy"])) for one in recorded}


def _changed(entry: dict[str, Any], how: str) -> list[str]:
    """Return the scopes that a decision added to the connection, removed from it or changed in another way."""
    return list(entry["metadata"].get(how, ())) if entry["event"] in CHANGES else []


def _titled(ids: Iterable[str], titles: Mapping[str, str]) -> list[str]:
    return [titles.get(scope, plain_text(scope)) for scope in ids]
