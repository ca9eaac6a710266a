"""End connections when an agent is deleted, or when an account is erased or reclaimed.

An erasure also ends the requests that wait for the user, and clears what agents wrote about the user.
"""

from datetime import datetime
from itertools import batched
from typing import Any

from django.db.models import Q, QuerySet
from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased, account_reclaimed
from agents.deletion import REASON
from agents.models import Agent
from agents.signals import agent_deleted
from audit.entries.personal_keys import destroy_keys
from audit.events import Event, Outcome
from audit.services import append
from consent.models import AuthorizationCode, Consent
from consent.records import draft_consent, record_consent
from core.actor import SYSTEM, Actor

# In one row of the journal.
MAX_ENTRIES = 1000
ERASED = "account_erased"


@receiver(agent_deleted)
def end_connections(*, agent: Agent, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Revoke what users granted the agent, and expire its undecided requests."""
    mine = Consent.objects.filter(agent=agent).select_related("agent")
    locked = mine.select_for_update(of=("self",), no_key=True).order_by("pk")
    approved = list(locked.filter(status=Consent.Status.APPROVED))
    pending = list(locked.filter(status=Consent.Status.PENDING))
    _update(approved, status=Consent.Status.REVOKED, revoked_at=now)
    _update(pending, status=Consent.Status.EXPIRED)
    metadata = {"reason": REASON}
    drafts = [
        draft_consent(Event.CONSENT_REVOKED, actor=actor, consent=one, scopes=one.granted_scopes, metadata=metadata)
        for one in approved
    ]
    drafts += [draft_consent(Event.CONSENT_EXPIRED, actor=SYSTEM, consent=one) for one in pending]
    for some in batched(drafts, MAX_ENTRIES):
        append(some, at=now)


@receiver(account_reclaimed)
def revoke_consents(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Revoke every approved consent of the user."""
    approved = Consent.objects.filter(user=user, status=Consent.Status.APPROVED)
    for consent in approved.select_for_update(of=("self",)).order_by("pk"):
        _revoke(consent, actor, now, "account_reclaimed")


@receiver(account_erased)
def erase_consents(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> list[str]:
    """Revoke the user's connections, deny the requests that wait for the user, and clear their texts.

    The scopes and dates remain, as in the log. The requests' entries have keys of their own, which are destroyed.
    Return the subjects of these keys.
    Codes are deleted first: an exchange in progress, which locks codes before consents, is waited for, so that
    `tokens.endings` finds its family, and a later one finds no code.
    """
    for code in AuthorizationCode.objects.filter(user=user).select_for_update(of=("self",)).order_by("pk"):
        code.delete()
    mine = _consents_of(user)
    consents = list(mine.select_related("agent").select_for_update(of=("self",)).order_by("pk"))
    for consent in consents:
        if consent.status == Consent.Status.APPROVED:
            _revoke(consent, actor, now, ERASED)
        elif consent.status_at(now) == Consent.Status.PENDING:
            _deny(consent, user, actor, now)
    ids = [consent.pk for consent in consents]
    # The terms and what the agent wanted to act on can name people.
    Consent.objects.filter(pk__in=ids).update(
        reason="", state="", browser_digest="", terms={}, authorization_details=[]
    )
    destroy_keys(ids)
    return ids


def _update(consents: list[Consent], **fields: Any) -> None:
    Consent.objects.filter(pk__in=[one.pk for one in consents]).update(**fields)


def _consents_of(user: User) -> QuerySet[Consent]:
    """Return the user's consents, and the undecided requests that are meant for the user."""
    # A subquery would make PostgreSQL read all consents.
    hinted = list(Consent.objects.filter(decided_at=None, hinted_user_id=user.id).values_list("pk", flat=True))
    return Consent.objects.filter(Q(user=user) | Q(pk__in=hinted))


def _revoke(consent: Consent, actor: Actor, now: datetime, reason: str) -> None:
    Consent.objects.filter(pk=consent.pk).update(status=Consent.Status.REVOKED, revoked_at=now)
    record_consent(
        Event.CONSENT_REVOKED,
        actor=actor,
        consent=consent,
        scopes=consent.granted_scopes,
        metadata={"reason": reason},
        at=now,
    )


def _deny(consent: Consent, user: User, actor: Actor, now: datetime) -> None:
    Consent.objects.filter(pk=consent.pk).update(status=Consent.Status.DENIED, user=user, decided_at=now)
    consent.user = user
    record_consent(
        Event.CONSENT_DENIED,
        actor=actor,
        consent=consent,
        outcome=Outcome.DENIED,
        scopes=consent.requested_scopes,
        metadata={"reason": ERASED},
        at=now,
    )
