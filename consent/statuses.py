"""The statuses of consents and approvals, and what approvals cover, for code that reads rows without models."""

from datetime import datetime

from django.db.models import TextChoices

# What a standing approval fixes of a request's context, besides the currency and the maximum of the amount.
TARGET = ("verb", "recipient", "target")


class ConsentStatus(TextChoices):
    """The stored statuses. Use `status_at` to read one, because a row may still wait for the sweep."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"


class ApprovalStatus(TextChoices):
    """The stored statuses. A pending or approved one may have expired before the sweep has stored that."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


def status_at(now: datetime, *, stored: str, expires_at: datetime) -> str:
    """Return the status at `now` of a consent stored as `stored`. It may expire before the sweep has stored that."""
    if stored in (ConsentStatus.PENDING, ConsentStatus.APPROVED) and expires_at <= now:
        return ConsentStatus.EXPIRED
    return stored
