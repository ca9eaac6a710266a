"""End the connections of an agent that its developer deletes."""

from datetime import datetime
from itertools import batched
from typing import Any

from django.dispatch import receiver

from agents.deletion import REASON
from agents.models import Agent
from agents.signals import agent_deleted
from audit.events import Event
from audit.services import append
from consent.models import Consent
from consent.records import draft_consent
from core.actor import SYSTEM, Actor

# In one row of the journal.
MAX_ENTRIES = 1000


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


def _update(consents: list[Consent], **fields: Any) -> None:
    Consent.objects.filter(pk__in=[one.pk for one in consents]).update(**fields)
