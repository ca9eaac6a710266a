"""Pausing agents: a stop that a user sets, and that only this user lifts.

Pausing one agent and pausing all agents are two stops. Each is lifted by itself, and a paused agent is denied by verify
until neither is in force. The connection, its tokens and what the user allowed remain.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.services import hold_account, lock_user
from audit.entries.drafts import Draft
from audit.events import Event
from audit.proof.stops import REASON
from audit.services import append
from consent.errors import NotConnected, OthersPause
from consent.models import Consent
from consent.selectors import latest_of
from consent.statuses import in_words
from core import clock
from core.actor import Actor
from core.locks import revocation
from core.text import plain_text
from core.wording import Filled


def pause_agent(*, actor: Actor, consent: Consent, reason: str = "") -> Consent:
    """Pause the agent of a connection, or of the one that replaced it. Return the paused consent.

    No verify that starts after this returns is allowed under it. Pausing twice changes nothing. The agent's
    organization can see the pause, but not the reason. Raises `NotConnected` if the connection has ended, and
    `OthersPause` if the actor is not its user.
    """
    with revocation():
        return pause_held_agent(actor=actor, consent=consent, now=clock.now(), reason=reason)


def pause_held_agent(*, actor: Actor, consent: Consent, now: datetime, reason: str = "") -> Consent:
    """Pause the agent in a revocation in progress. Raises the errors of `pause_agent`.

    Danger: lock the user's row before other rows.
    """
    _require_self(actor, consent.user_id)
    lock_user(consent.user_id)
    consent = _connected(consent, now)
    if _live(consent, now).filter(paused_at=None).update(paused_at=now):
        consent.paused_at = now
        _record(Event.AGENT_PAUSED, actor, consent, reason, now)
    return consent


@transaction.atomic
def resume_agent(*, actor: Actor, consent: Consent, user: User) -> Consent:
    """Lift the pause of a connection. Return the consent. Resuming twice changes nothing, and all other stops remain.

    Raises `NotConnected`, `OthersPause`, and `NotAuthenticated` if the account has changed since the user signed in.
    """
    _require_self(actor, consent.user_id)
    hold_account(user)
    now = clock.now()
    consent = _connected(consent, now)
    if _live(consent, now).filter(paused_at__isnull=False).update(paused_at=None):
        consent.paused_at = None
        _record(Event.AGENT_RESUMED, actor, consent, "", now)
    return consent


def pause_all_agents(*, actor: Actor, user: User, reason: str = "") -> datetime:
    """Pause all agents of a user, including those that the user allows later. Return since when they are paused.

    No verify for this user that starts after this returns is allowed. Pausing twice changes nothing. Raises
    `OthersPause` if the actor is not the user.
    """
    _require_self(actor, user.id)
    with revocation():
        lock_user(user.id)
        now = clock.now()
        if User.objects.filter(pk=user.pk, agents_paused_at=None).update(agents_paused_at=now):
            append([_draft_all(Event.AGENTS_PAUSED, actor, user, reason)], at=now)
    return paused_all_since(user) or now


@transaction.atomic
def resume_all_agents(*, actor: Actor, user: User) -> None:
    """Lift the pause of all agents. Agents that are paused or stopped by themselves remain so.

    Raises `OthersPause`, and `NotAuthenticated` if the account has changed since the user signed in.
    """
    _require_self(actor, user.id)
    hold_account(user)
    if User.objects.filter(pk=user.pk, agents_paused_at__isnull=False).update(agents_paused_at=None):
        append([_draft_all(Event.AGENTS_RESUMED, actor, user, "")])


def paused_all_since(user: User) -> datetime | None:
    """Return since when the user pauses all agents, or None if they do not."""
    since: datetime | None = User.objects.values_list("agents_paused_at", flat=True).get(pk=user.pk)
    return since


def _require_self(actor: Actor, user_id: str | None) -> None:
    if user_id is None or (actor.kind, actor.id) != ("user", user_id):
        raise OthersPause


def _connected(consent: Consent, now: datetime) -> Consent:
    """Return the consent of the connection. Raises `NotConnected`."""
    consent = latest_of(consent)
    if consent.status_at(now) != Consent.Status.APPROVED:
        raise NotConnected(Filled(gettext_noop("The consent is %(status)s."), status=in_words(consent.status_at(now))))
    return consent


def _live(consent: Consent, now: datetime) -> QuerySet[Consent]:
    return Consent.objects.filter(pk=consent.pk, status=Consent.Status.APPROVED, expires_at__gt=now)


def _record(event: Event, actor: Actor, consent: Consent, reason: str, now: datetime) -> None:
    """Log it for the user and the agent's organization. The reason is the user's own, so only the user can read it."""
    draft = Draft(
        event=event,
        actor=actor,
        organization_id=consent.agent.organization_id,
        user_id=consent.user_id,
        agent_id=consent.agent_id,
        consent_id=consent.id,
        personal=_stated(reason),
    )
    append([draft], at=now)


def _draft_all(event: Event, actor: Actor, user: User, reason: str) -> Draft:
    return Draft(event=event, actor=actor, user_id=user.id, personal=_stated(reason))


def _stated(reason: str) -> dict[str, str]:
    stated = plain_text(reason)
    return {REASON: stated} if stated else {}
