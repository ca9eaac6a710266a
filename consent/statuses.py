"""The statuses of consents, for code that reads rows without models."""

from datetime import datetime

from django.db.models import TextChoices
from django.utils.translation import gettext_noop

from core.wording import Filled

# The statuses within messages.
IN_WORDS = {
    "pending": gettext_noop("pending"),
    "approved": gettext_noop("approved"),
    "denied": gettext_noop("denied"),
    "expired": gettext_noop("expired"),
    "revoked": gettext_noop("revoked"),
    "replaced": gettext_noop("replaced"),
}


class ConsentStatus(TextChoices):
    """The stored statuses. Use `status_at` to read one, because a row may still wait for the sweep."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"


def in_words(status: str) -> Filled:
    """Return the status as a value of a message."""
    return Filled(IN_WORDS[status])


def status_at(now: datetime, *, stored: str, expires_at: datetime) -> str:
    """Return the status at `now` of a consent stored as `stored`. It may expire before the sweep has stored that."""
    if stored in (ConsentStatus.PENDING, ConsentStatus.APPROVED) and expires_at <= now:
        return ConsentStatus.EXPIRED
    return stored
