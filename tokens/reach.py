"""Whose tokens reach a resource server: it learns nothing about anyone else.

What counts is the audience in the token, which is all that a service sees that checks it offline: even of tokens of
before an organization took over its identifier.
"""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from agents.models import Agent
from consent.models import Consent
from core.fields import ListsAny
from core.ids import lowest_id
from resources.models import ResourceServer
from tokens.models import AccessToken, TokenFamily


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
    """Return the client ids of those of the agents that got tokens that reach the server, since then, by agent."""
    named = _issued_since(server, since).filter(application__in=ids) if ids else AccessToken.objects.none()
    reaching = set(named.order_by().values_list("application_id", flat=True).distinct())
    return dict(Agent.objects.filter(pk__in=reaching).values_list("pk", "client_id")) if reaching else {}


def organizations_for(server: ResourceServer, ids: Collection[str], since: datetime) -> set[str]:
    """Return those of the organizations whose agents got tokens that reach the server, since then."""
    return {one for one in ids if _issued_since(server, since).filter(application__in=_agents_of(one)).exists()}


def _agents_of(organization_id: str) -> list[str]:
    return list(Agent.objects.filter(organization=organization_id).values_list("pk", flat=True))


def _issued_since(server: ResourceServer, since: datetime) -> QuerySet[AccessToken]:
    """Return the tokens for the server, by the times in their ids: the index of an agent's tokens has these."""
    return AccessToken.objects.filter(_is_for(server), pk__gte=lowest_id("tok", since))


def _is_for(server: ResourceServer) -> Q:
    """Return the condition that an audience names the server, or nothing for an agent of its own organization."""
    is_default = Q(ListsAny("resource", [settings.API_URL]), application__organization=server.organization_id)
    return Q(ListsAny("resource", [server.identifier])) | is_default
