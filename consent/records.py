"""Entries of the log about a consent."""

from datetime import datetime
from typing import Any

from audit.events import Event
from audit.services import Draft, append
from consent.models import Consent
from core.actor import Actor


def record_consent(event: Event, *, actor: Actor, consent: Consent, at: datetime, **fields: Any) -> None:
    """Log something that happened to a consent."""
    append([draft_consent(event, actor=actor, consent=consent, **fields)], at=at)


def draft_consent(event: Event, *, actor: Actor, consent: Consent, **fields: Any) -> Draft:
    return Draft(
        event=event,
        actor=actor,
        organization_id=consent.organization_id,
        user_id=consent.user_id,
        agent_id=consent.agent_id,
        consent_id=consent.id,
        **fields,
    )
