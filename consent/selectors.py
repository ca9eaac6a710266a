"""Reads of consents."""

from django.db.models import QuerySet

from accounts.models import User
from consent.models import Consent
from core.errors import NotFound


def consents_for_user(user: User) -> QuerySet[Consent]:
    """Return the person's consents, newest first, with what a list shows."""
    return Consent.objects.filter(user=user).select_related("agent__organization").order_by("-id")


def consent_for_user(user: User, consent_id: str) -> Consent:
    """Return the person's own consent. Raises `NotFound`, also for somebody else's."""
    consent = consents_for_user(user).filter(id=consent_id).first()
    if consent is None:
        raise NotFound("No such consent.")
    return consent


def consent_by_id(consent_id: str) -> Consent:
    """Return the consent, whoever asks. Raises `NotFound`."""
    consent = Consent.objects.select_related("agent__organization").filter(id=consent_id).first()
    if consent is None:
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
