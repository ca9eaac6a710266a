"""Count the connections that a stop would end."""

from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.dispatch import receiver

from agents.models import Agent
from consent.models import Consent
from developers.impact import Reach
from developers.signals import impact_counted


def live_within(reach: Reach, now: datetime) -> QuerySet[Consent]:
    """Return the live connections that the stop covers, in no order."""
    bounds = {"user": reach.user_id, "agent": reach.agent_id, "agent__organization": reach.organization_id}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    return Consent.objects.filter(status=Consent.Status.APPROVED, expires_at__gt=now, **bounds).order_by()


@receiver(impact_counted)
def count_connections(*, reach: Reach, now: datetime, **kwargs: Any) -> dict[str, int | None]:
    """Return the numbers of connections, agents and users. The last two are None for a stop of everything.

    A connection is the only one of its user with its agent, so one of the two need not be counted unless the stop
    covers several of both. The agents of an organization are all that run, also those without connections.
    """
    live = live_within(reach, now)
    if reach.organization_id is not None:
        running = Agent.objects.filter(organization=reach.organization_id, status=Agent.Status.ACTIVE, stopped_at=None)
        return {
            **live.aggregate(connections=Count("*"), users=Count("user", distinct=True)),
            "agents": running.count(),
        }
    connections = live.count()
    if reach == Reach():
        return {"connections": connections, "agents": None, "users": None}
    return {
        "connections": connections,
        "agents": connections if reach.agent_id is None else min(connections, 1),
        "users": connections if reach.user_id is None else min(connections, 1),
    }
