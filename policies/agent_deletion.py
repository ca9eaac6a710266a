"""Delete the policies for an agent that its developer deletes."""

from typing import Any

from django.dispatch import receiver

from agents.models import Agent
from agents.signals import agent_deleted
from core.actor import Actor
from policies.services import delete_policies_of_agent


@receiver(agent_deleted)
def delete_policies(*, agent: Agent, actor: Actor, **kwargs: Any) -> None:
    delete_policies_of_agent(actor=actor, agent=agent)
