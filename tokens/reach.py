"""Whose tokens reach a resource server: it learns nothing about anyone else.

What counts is the audience in the token, which is all that a service sees that checks it offline: even of tokens of
before an organization took over its identifier. The default audience is for the services of the organization of the
agent to which the user granted, no matter to whom that agent handed the work.

What is handed on has at most the audience of the tokens from which it comes, so a delegation reaches a server if these
do. The tokens of the agents above can be long gone, so for them live delegations count.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from agents.models import Agent
from consent.models import Consent
from core.fields import ListsAny
from core.ids import lowest_id
from resources.models import ResourceServer
from tokens.models import AccessToken, Delegation, TokenFamily


def families_for(server: ResourceServer, ids: Collection[str]) -> set[str]:
    """Return those of the families whose tokens reach the server."""
    return set(TokenFamily.objects.filter(_is_for(server), pk__in=ids).values_list("pk", flat=True)) if ids else set()


def users_for(server: ResourceServer, ids: Collection[str], since: datetime) -> set[str]:
    """Return those of the users for whom tokens that were valid at `since` or later reach the server."""
    if not ids:
        return set()
    live = TokenFamily.objects.filter(_is_for(server), user__in=ids, expires_at__gt=since)
    return set(live.order_by().values_list("user_id", flat=True).distinct())


def consents_for(server: ResourceServer, ids: Collection[str], since: datetime) -> dict[str, list[str]]:
    """Return those of the consents under which tokens reach the server, with all consents that these tokens name.

    They are the consent itself and those that it replaced after `since`: a token names the consent of when it was
    issued, and its family belongs to the newest one.
    """
    if not ids:
        return {}
    rows = Consent.objects.filter(pk__in=ids).values_list("pk", Coalesce(F("replaced_by_id"), F("pk")), "decided_at")
    asked = {pk: (newest, decided_at) for pk, newest, decided_at in rows}
    newest_ones = {newest for newest, _ in asked.values()}
    live = TokenFamily.objects.filter(_is_for(server), consent__in=newest_ones, expires_at__gt=since)
    reaching = set(live.order_by().values_list("consent_id", flat=True).distinct())
    replaced = Consent.objects.filter(replaced_by__in=reaching, replaced_at__gt=since).order_by("replaced_at")
    earlier = list(replaced.values_list("pk", "replaced_by_id", "replaced_at"))
    return {
        pk: [*(one for one, by, at in earlier if by == newest and at <= decided_at), pk]
        for pk, (newest, decided_at) in asked.items()
        if newest in reaching
    }


def agents_for(server: ResourceServer, ids: Collection[str], since: datetime) -> dict[str, str]:
    """Return the client ids of those of the agents whose tokens reach the server, by agent.

    They got them since then, or they are in a chain that was live at `since` or later.
    """
    if not ids:
        return {}
    first, *others = (found.distinct() for found in _agents_in(server, ids, since))
    return dict(Agent.objects.filter(pk__in=first.union(*others)).values_list("pk", "client_id"))


def organizations_for(server: ResourceServer, ids: Collection[str], since: datetime) -> set[str]:
    """Return those of the organizations whose agents have tokens that reach the server, as for `agents_for`."""
    return {one for one in ids if any(found.exists() for found in _agents_in(server, _agents_of(one), since))}


def delegations_for(server: ResourceServer, ids: Collection[str]) -> set[str]:
    """Return those of the delegations by which tokens reach the server."""
    if not ids:
        return set()
    return set(Delegation.objects.filter(_is_for(server, "from_family__"), pk__in=ids).values_list("pk", flat=True))


def receivers_for(server: ResourceServer, ids: Collection[str], since: datetime) -> set[str]:
    """Return those of the organizations to whose agents work was handed on only because they were verified."""
    handed = _handed(server, since).filter(consent__delegation=Consent.Delegation.VERIFIED)
    foreign = handed.exclude(consent__agent__organization=F("to_agent__organization"))
    return {one for one in ids if foreign.filter(to_agent__in=_agents_of(one)).exists()}


def _agents_of(organization_id: str) -> list[str]:
    return list(Agent.objects.filter(organization=organization_id).values_list("pk", flat=True))


def _agents_in(server: ResourceServer, ids: Collection[str], since: datetime) -> Iterator[QuerySet[Any, str]]:
    """Yield queries for the ids of those of the agents whose tokens reach the server."""
    yield _issued_since(server, since).filter(application__in=ids).order_by().values_list("application_id", flat=True)
    for side in ("from_agent", "to_agent"):
        yield _handed(server, since).filter(**{f"{side}__in": ids}).values_list(f"{side}_id", flat=True)


def _handed(server: ResourceServer, since: datetime) -> QuerySet[Delegation]:
    """Return the delegations by which tokens that were valid at `since` or later reach the server."""
    return Delegation.objects.filter(_is_for(server, "from_family__"), expires_at__gt=since).order_by()


def _issued_since(server: ResourceServer, since: datetime) -> QuerySet[AccessToken]:
    """Return the tokens for the server, by the times in their ids: the index of an agent's tokens has these.

    What was handed on for the default audience is not among them. Its delegation is among those that `_handed` returns.
    """
    is_default = Q(ListsAny("resource", [settings.API_URL]), application__organization=server.organization_id)
    is_named = Q(ListsAny("resource", [server.identifier]))
    return AccessToken.objects.filter(is_named | is_default, pk__gte=lowest_id("tok", since))


def _is_for(server: ResourceServer, family: str = "") -> Q:
    """Return the condition that the audience of a family names the server, or nothing for an agent of its own.

    `family` is the prefix of the family's columns.
    """
    own = server.organization_id
    is_own = Q(**{f"{family}consent__agent__organization": own}) | Q(
        **{f"{family}consent": None, f"{family}application__organization": own}
    )
    is_default = Q(ListsAny(f"{family}resource", [settings.API_URL])) & is_own
    return Q(ListsAny(f"{family}resource", [server.identifier])) | is_default
