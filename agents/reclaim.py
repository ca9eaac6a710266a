"""Suspend the agents of a user's own organizations when the owner of the email address reclaims the account."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_reclaimed
from agents.models import Agent, ClientSecret
from agents.services import record_agent
from audit.events import Event
from core.actor import Actor
from core.rotation import live
from developers.selectors import sole_organizations


@receiver(account_reclaimed)
def suspend_agents(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Suspend every agent of the organizations without other members, and expire its secrets.

    The owner can reactivate an agent and create a new secret. `agents.services.update_agent` then drops the
    redirect URIs that it has now.
    """
    rows = Agent.objects.filter(organization__in=sole_organizations(user), deleted_at=None)
    agents = list(rows.select_for_update(of=("self",)).order_by("pk"))
    for agent in agents:
        Agent.objects.filter(pk=agent.pk).update(status=Agent.Status.SUSPENDED, reclaimed_at=now, updated=now)
        ClientSecret.objects.filter(live(now), agent=agent).update(expires_at=now)
        record_agent(Event.AGENT_SUSPENDED, actor=actor, agent=agent, metadata={"reason": "account_reclaimed"})
