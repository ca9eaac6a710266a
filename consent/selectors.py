"""Reads of consents."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from core import clock
from core.canonical import canonical_json, sha256
from core.errors import NotFound
from resources.catalogue import Scope, catalogue, describe_scopes, read_snapshot
from resources.models import ResourceServer


def consents_for_user(user: User) -> QuerySet[Consent]:
    """Return the user's consents with their agents and organizations, newest first."""
    return Consent.objects.filter(user=user).select_related("agent__organization").order_by("-id")


def live_consents_for_user(user: User, now: datetime) -> QuerySet[Consent]:
    """Return the user's connections: what they approved and what is still in force."""
    return Consent.objects.filter(_live(now), user=user)


def count_connections(agent_ids: Collection[str], now: datetime) -> dict[str, int]:
    """Return the number of users who allow each agent something now. Agents without users are omitted."""
    live = Consent.objects.filter(_live(now), agent__in=agent_ids)
    return dict(live.order_by().values_list("agent").annotate(number=Count("pk")))


def grants_of_agent(agent: Agent, now: datetime, *, state: str = "", user_id: str = "") -> QuerySet[Consent]:
    """Return what users granted the agent, newest first: the live consents, and those that ended unreplaced.

    `state` is "live" or "ended", or "" for both.
    """
    is_live = _live(now)
    is_ended = Q(status__in=[Consent.Status.REVOKED, Consent.Status.EXPIRED], decided_at__isnull=False)
    is_ended |= Q(status=Consent.Status.APPROVED, expires_at__lte=now)
    wanted = {"live": is_live, "ended": is_ended}.get(state, is_live | is_ended)
    of_user = Q(user=user_id) if user_id else Q(user__isnull=False)
    return Consent.objects.filter(wanted, of_user, agent=agent).order_by("-id")


def agents_of_user(user: User) -> QuerySet[Agent]:
    """Return the agents for which the user has decided a request, newest first."""
    return Agent.objects.filter(Exists(Consent.objects.filter(agent=OuterRef("pk"), user=user))).order_by("-id")


def consent_for_user(user: User, consent_id: str) -> Consent:
    """Return the user's consent. Raises `NotFound`, even if another user has it."""
    consent: Consent | None = consents_for_user(user).filter(id=consent_id).first()
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def current_consent(user: User, consent_id: str) -> Consent:
    """Return the user's consent, or the consent that replaced it. Raises `NotFound`."""
    consent = consent_for_user(user, consent_id)
    return consent_for_user(user, consent.replaced_by_id) if consent.replaced_by_id else consent


def connection_of(user: User, consent_id: str) -> tuple[Consent, list[Consent]]:
    """Return the user's consent, and those that it replaced. Raises `NotFound`."""
    rows = list(consents_for_user(user).filter(Q(pk=consent_id) | Q(replaced_by=consent_id)))
    found = next((row for row in rows if row.id == consent_id), None)
    if found is None:
        raise NotFound("No such consent.")
    return found, [row for row in rows if row is not found]


def latest_of(consent: Consent) -> Consent:
    """Return the consent, reloaded, or the consent that replaced it."""
    rows = Consent.objects.select_related("agent__organization")
    current: Consent = rows.get(pk=consent.pk)
    return rows.get(pk=current.replaced_by_id) if current.replaced_by_id else current


def find_consent(consent_id: str) -> Consent | None:
    """Return the consent, without checking who may see it, or None if there is none."""
    return Consent.objects.select_related("agent__organization", "organization").filter(id=consent_id).first()


def consent_by_id(consent_id: str) -> Consent:
    """Return the consent, without checking who may see it. Raises `NotFound`."""
    consent = find_consent(consent_id)
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def consent_to_decide(user: User, consent_id: str) -> Consent:
    """Return the consent if the user may decide it or has decided it. Raises `NotFound` otherwise."""
    consent = consent_by_id(consent_id)
    require_decider(consent, user)
    return consent


def require_decider(consent: Consent, user: User) -> None:
    """Raise `NotFound` unless the user may decide the consent or has decided it."""
    if (consent.user_id or consent.hinted_user_id) not in ("", user.id):
        raise NotFound("No such consent.")


def visible_consent(consent_id: str, *, user: User | None, organization_id: str | None) -> Consent:
    """Return the consent if the user or the organization may see it. Raises `NotFound` otherwise.

    Anyone who knows the id may see an undecided consent. A decided one is visible only to the user who decided it and
    to the agent's organization. A stock client has none, because the services it requests must not see each other's.
    """
    consent = consent_by_id(consent_id)
    if consent.decided_at is None:
        return consent
    is_owner = user is not None and user.id == consent.user_id
    is_own_agent = organization_id is not None and organization_id == consent.agent.organization_id
    if not is_owner and not is_own_agent:
        raise NotFound("No such consent.")
    return consent


def agreed_scopes(consent: Consent) -> list[Scope]:
    """Return the granted scopes with the texts that the user saw, even if they have changed or are deleted since."""
    shown = {scope.id: scope for scope in read_snapshot(consent.shown_scopes)}
    unseen = [scope_id for scope_id in consent.granted_scopes if scope_id not in shown]
    shown |= {scope.id: scope for scope in describe_scopes(unseen)}
    return [shown[scope_id] for scope_id in consent.granted_scopes if scope_id in shown]


def carried_scopes(asked: Consent, live: Consent | None) -> list[Scope]:
    """Return the live scopes that `asked` does not request, with the texts that the user agreed to."""
    if live is None:
        return []
    carried = [scope for scope in live.live_scopes() if scope not in asked.requested_scopes]
    return [scope for scope in agreed_scopes(live) if scope.id in carried]


def reworded_scopes(asked: Consent, live: Consent | None) -> list[str]:
    """Return the live scopes that `asked` requests with other texts than those that the user agreed to."""
    if live is None:
        return []
    agreed = {scope.id: scope.words for scope in agreed_scopes(live)}
    asked_for = [scope for scope in read_snapshot(asked.shown_scopes) if scope.id in live.live_scopes()]
    return [scope.id for scope in asked_for if scope.id in agreed and scope.words != agreed[scope.id]]


def scopes_within_reach(agent: Agent, servers: Sequence[ResourceServer]) -> list[str]:
    """Return the scopes that the agent can request for these resource servers.

    A registered agent has its own list. A stock client has none: it can request the scopes of the resource servers or,
    if it names none, of the catalogue.
    """
    if not agent.is_stock:
        return list(agent.allowed_scopes)
    if not servers:
        return list(catalogue())
    return list(dict.fromkeys(scope for server in servers for scope in server.scopes))


def approved_consents(user: User, asked: Consent) -> QuerySet[Consent]:
    """Return the approved consents of the connection that `asked` belongs to: at most one, which may have expired."""
    rows = Consent.objects.select_related("agent__organization")
    return rows.filter(user=user, agent=asked.agent_id, status=Consent.Status.APPROVED)


def live_consent(user: User, asked: Consent) -> Consent | None:
    """Return the live consent that approving `asked` would replace, or None if the agent is not connected."""
    return approved_consents(user, asked).filter(expires_at__gt=clock.now()).first()


def connection_state(live: Consent | None) -> str:
    """Return a digest of what the user allows the agent now, or "" if `live` is None. A narrowing changes it."""
    if live is None:
        return ""
    end = clock.rfc3339(live.expires_at)
    return sha256(canonical_json([live.id, live.granted_scopes, live.terms, live.delegation, end]))


def _live(now: datetime) -> Q:
    """Return the condition that a consent is a connection: it is approved and in force."""
    return Q(status=Consent.Status.APPROVED, expires_at__gt=now)
