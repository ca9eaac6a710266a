"""Revoke all consents of a user when the owner of the address reclaims the account."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_reclaimed
from audit.events import Event
from consent.models import Consent
from consent.records import record_consent
from core.actor import Actor


@receiver(account_reclaimed)
def revoke_consents(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Revoke every approved consent of the user."""
    approved = Consent.objects.filter(user=user, status=Consent.Status.APPROVED)
    for consent in approved.select_for_update(of=("self",)).order_by("pk"):
        Consent.objects.filter(pk=consent.pk).update(status=Consent.Status.REVOKED, revoked_at=now)
        record_consent(
            Event.CONSENT_REVOKED,
            actor=actor,
            consent=consent,
            scopes=consent.granted_scopes,
            metadata={"reason": "account_reclaimed"},
            at=now,
        )
