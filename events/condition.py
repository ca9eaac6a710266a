"""Whether events leave in time, for the metrics: they are read from the database, wherever the worker runs."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import Min

from audit.readers.finding import sizes
from events.models import Delivery, Follower, Webhook


class Condition(NamedTuple):
    """How many deliveries are outstanding, how long the first has been due, and how many entries are not routed."""

    outstanding: int
    overdue_seconds: float
    unrouted: int


def look(now: datetime) -> Condition:
    """Return the condition. Webhooks of suspended organizations do not count: nothing is sent for them.

    Nor do those of organizations that are being deleted.
    """
    due = Webhook.objects.filter(due_at__lt=now, is_enabled=True, organization__suspended_at=None)
    due_at = due.filter(organization__deletes_at=None).aggregate(due=Min("due_at"))["due"]
    routed = Follower.objects.values_list("next_index", flat=True).first() or 0
    return Condition(
        Delivery.objects.exclude(due_at=None).count(),
        (now - due_at).total_seconds() if due_at else 0.0,
        max(0, sizes()[0] - routed),
    )
