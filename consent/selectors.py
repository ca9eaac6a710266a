"""Reads of consents."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from accounts.models import User
from agents.models import Agent
from audit.selectors import last_uses
from consent.models import Consent
from core import clock
from core.errors import NotFound
from resources.catalogue import Scope, catalogue, describe_scopes, read_snapshot
from resources.models import ResourceServer


def consents_for_user(user: User) -> QuerySet[Consent]:
    """Return the person's consents, newest first, with what a list shows."""
    return Consent.objects.filter(user=user).select_related("agent__organization").order_by("-id")


def consent_for_user(user: User, consent_id: str) -> Consent:
    """Return the user's own consent. Raises `NotFound`, also for another user's."""
    consent: Consent | None = consents_for_user(user).filter(id=consent_id).first()
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def current_consent(user: User, consent_id: str) -> Consent:
    """Return the user's own consent, or its latest replacement. Raises `NotFound`."""
    consent = consent_for_user(user, consent_id)
    return consent_for_user(user, consent.replaced_by_id) if consent.replaced_by_id else consent


def latest_of(consent: Consent) -> Consent:
    """Return the consent as it is now, or its latest replacement."""
    rows = Consent.objects.select_related("agent__organization")
    current: Consent = rows.get(pk=consent.pk)
    return rows.get(pk=current.replaced_by_id) if current.replaced_by_id else current


def consent_by_id(consent_id: str) -> Consent:
    """Return the consent, without checking who may see it. Raises `NotFound`."""
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
    """Return the consent if the user or the organization may see it. Raises `NotFound` otherwise.

    While it is undecided its id is enough; once decided only its owner and the agent's organization see it. A stock
    client has no organization, and its services are not told what was asked for others.
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
    """Return what the person granted, in the words that the screen had then, whatever has become of them since."""
    shown = {scope.id: scope for scope in read_snapshot(consent.shown_scopes)}
    unseen = [scope_id for scope_id in consent.granted_scopes if scope_id not in shown]
    shown |= {scope.id: scope for scope in describe_scopes(unseen)}
    return [shown[scope_id] for scope_id in consent.granted_scopes if scope_id in shown]


def carried_scopes(asked: Consent, live: Consent | None) -> list[Scope]:
    """Return the live scopes that `asked` does not request, in the words that the screen had when they were granted."""
    if live is None:
        return []
    carried = [scope for scope in live.live_scopes() if scope not in asked.requested_scopes]
    return [scope for scope in agreed_scopes(live) if scope.id in carried]


def reworded_scopes(asked: Consent, live: Consent | None) -> list[str]:
    """Return the live scopes that `asked` requests in other words than those that the person agreed to."""
    if live is None:
        return []
    agreed = {scope.id: scope.words for scope in agreed_scopes(live)}
    asked_for = [scope for scope in read_snapshot(asked.shown_scopes) if scope.id in live.live_scopes()]
    return [scope.id for scope in asked_for if scope.id in agreed and scope.words != agreed[scope.id]]


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


def approved_consents(user: User, asked: Consent) -> QuerySet[Consent]:
    """Return the approved consents of the connection that `asked` belongs to: one at most, run out or not."""
    rows = Consent.objects.select_related("agent__organization")
    return rows.filter(user=user, agent=asked.agent_id, status=Consent.Status.APPROVED)


def live_consent(user: User, asked: Consent) -> Consent | None:
    """Return the live consent that approving `asked` would replace. None when the agent is not connected."""
    return approved_consents(user, asked).filter(expires_at__gt=clock.now()).first()


def last_uses_of(consents: Sequence[Consent]) -> dict[str, datetime]:
    """Return when each consent or a predecessor was last used to allow a call. Unused consents are left out."""
    chains = {consent.id: [consent.id] for consent in consents}
    replaced = Consent.objects.filter(replaced_by__in=chains).order_by()
    for consent_id, latest_id in replaced.values_list("id", "replaced_by_id"):
        chains[latest_id].append(consent_id)
    used = last_uses(one for chain in chains.values() for one in chain)
    return {
        latest: max(used[one] for one in chain if one in used)
        for latest, chain in chains.items()
        if not used.keys().isdisjoint(chain)
    }
