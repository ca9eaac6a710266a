"""The statuses of consents and approvals, and what approvals cover, for code that reads rows without models."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_noop

from core.wording import Filled

# The texts of a request's context that may differ under a standing approval, and what only says where it comes from.
OPEN_TEXTS = frozenset({"text", "diff", "task", "ip"})
AMOUNT = "amount"
# A standing rule allows a number of requests in any window of this length.
RULE_WINDOW_SECONDS = 86_400


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


class ApprovalStatus(TextChoices):
    """The stored statuses. A pending or approved one may have expired before the sweep has stored that."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


def in_words(status: str) -> Filled:
    """Return the status as a value of a message."""
    return Filled(IN_WORDS[status])


def fixed_fields(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a standing approval fixes of a request's context, besides the currency and maximum of the amount.

    That is every other field, by its exact name, and those of `OPEN_TEXTS` that are not text.
    """
    return {name: value for name, value in context.items() if name != AMOUNT and not _is_open(name, value)}


def _is_open(name: str, value: Any) -> bool:
    return name in OPEN_TEXTS and isinstance(value, str)


def times_per_day(evidence: Mapping[str, Any]) -> int:
    """Return how many requests a rule with this evidence allows within 24 hours."""
    return int(evidence.get("perDay", 1))


def status_at(now: datetime, *, stored: str, expires_at: datetime) -> str:
    """Return the status at `now` of a consent stored as `stored`. It may expire before the sweep has stored that."""
    if stored in (ConsentStatus.PENDING, ConsentStatus.APPROVED) and expires_at <= now:
        return ConsentStatus.EXPIRED
    return stored
