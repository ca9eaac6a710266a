"""Reads of consents."""

from collections.abc import Sequence

from django.db.models import QuerySet

from accounts.models import User
from agents.models import Agent
from consent.catalogue import Scope, catalogue, describe_scopes, read_snapshot
from consent.models import Consent
from core import clock
from core.errors import NotFound
from developers.models import ResourceServer


def consents_for_user(user: User) -> QuerySet[Consent]:
    """Return the person's consents, newest first, with what a list shows."""
    return Consent.objects.filter(user=user).select_related("agent__organization").order_by("-id")


def consent_for_user(user: User, consent_id: str) -> Consent:
    """Return the person's own consent. Raises `NotFound`, also for somebody else's."""
    consent: Consent | None = consents_for_user(user).filter(id=consent_id).first()
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def consent_by_id(consent_id: str) -> Consent:
    """Return the consent, whoever asks. Raises `NotFound`."""
    consent = Consent.objects.select_related("agent__organization", "organization").filter(id=consent_id).first()
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def consent_to_decide(user: User, consent_id: str) -> Consent:
    """Return the consent to the person who may decide it, or has. Raises `NotFound` for anyone else."""
    consent = consent_by_id(consent_id)
    if (consent.user_id or consent.hinted_user_id) not in ("", user.id):
        raise NotFound("No such consent.")
    return consent


def visible_consent(consent_id: str, *, user: User | None, organization_id: str | None) -> Consent:
    """Return the consent to whoever may see it. Raises `NotFound`.

    While it is undecided its id is enough; once decided only its owner and the agent's organization see it.
    """
    consent = consent_by_id(consent_id)
    if consent.decided_at is None:
        return consent
    is_owner = user is not None and user.id == consent.user_id
    is_own_agent = organization_id is not None and organization_id == consent.organization_id
    if not is_owner and not is_own_agent:
        raise NotFound("No such consent.")
    return consent


def agreed_scopes(consent: Consent) -> list[Scope]:
    """Return what the person granted, in the words that the screen had then, whatever has become of them since."""
    shown = {scope.id: scope for scope in read_snapshot(consent.shown_scopes)}
    unseen = [scope_id for scope_id in consent.granted_scopes if scope_id not in shown]
    shown |= {scope.id: scope for scope in describe_scopes(unseen)}
    return [shown[scope_id] for scope_id in consent.granted_scopes if scope_id in shown]


def scopes_within_reach(agent: Agent, servers: Sequence[ResourceServer]) -> list[str]:
    """Return what the agent can ask for at these resource servers.

    For a registered agent that is its own list. A stock client has none: it can ask for what the resource servers
    offer, and, when it names none, for the catalogue.
    """
    if not agent.is_stock:
        return list(agent.allowed_scopes)
    if not servers:
        return list(catalogue())
    return list(dict.fromkeys(scope for server in servers for scope in server.scopes))


def scopes_already_granted(user: User, agent: Agent) -> set[str]:
    """Return what the person has granted this agent and not taken back: a step-up shows only what is new as new."""
    live = Consent.objects.filter(
        user=user, agent=agent, status=Consent.Status.APPROVED, expires_at__gt=clock.now()
    ).select_related("agent")
    return {scope for consent in live for scope in consent.live_scopes()}
