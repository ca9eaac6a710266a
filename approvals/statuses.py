"""The statuses of approvals, and what approvals cover, for code that reads rows without models."""

from collections.abc import Mapping
from typing import Any

from django.db.models import TextChoices

# The context fields that may differ under a standing approval: texts, and fields that only say where a request comes
# from.
OPEN_TEXTS = frozenset({"text", "diff", "task", "ip"})
AMOUNT = "amount"
# A standing rule limits the number of requests within any window of this length.
RULE_WINDOW_SECONDS = 86_400


class ApprovalStatus(TextChoices):
    """The stored statuses. A pending or approved one may have expired before the sweep has stored that."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


def fixed_fields(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context fields that a standing approval fixes, in addition to the currency and maximum of the amount.

    That is every other field, by its exact name, and those of `OPEN_TEXTS` that are not text.
    """
    return {name: value for name, value in context.items() if name != AMOUNT and not _is_open(name, value)}


def times_per_day(evidence: Mapping[str, Any]) -> int:
    """Return the number of requests that a standing rule with this evidence allows within 24 hours."""
    return int(evidence.get("perDay", 1))


def _is_open(name: str, value: Any) -> bool:
    return name in OPEN_TEXTS and isinstance(value, str)
