"""Delete an agent: end everything that it can do, and keep what others need to understand what it did.

The row stays, because the users' histories and the log refer to it. A deletion sets the `status` that verify reads, so
it takes effect and is proved like a suspension.
"""

from agents.models import Agent, AgentLogo
from agents.selectors import live_secrets
from agents.services import lock_agent, record_agent
from agents.signals import agent_deleted
from audit.events import Event
from core import clock
from core.actor import Actor
from core.locks import revocation
from developers.acting import hold_developer
from developers.services import hold_organizations

REASON = "agent_deleted"


def delete_agent(*, actor: Actor, agent: Agent) -> None:
    """Delete the agent for good. Every verify request that starts after this returns is denied.

    Its secrets, its users' connections, their pending requests and the policies that apply only to it end. The row and
    its name stay, because the log and the users' histories show them. Raises `NotFound` if it is deleted already.
    """
    with revocation():
        hold_developer(actor)
        hold_organizations([agent.organization_id])  # for the sweep, whose actor `hold_developer` ignores
        agent, now = lock_agent(agent.pk), clock.now()
        if agent.status == Agent.Status.ACTIVE:
            # The proof that nothing was allowed after the deletion looks for a suspension in the log.
            record_agent(Event.AGENT_SUSPENDED, actor=actor, agent=agent, metadata={"reason": REASON})
        AgentLogo.objects.filter(pk=agent.pk).delete()
        ended = {"status": Agent.Status.SUSPENDED, "deleted_at": now, "logo_digest": "", "updated": now}
        Agent.objects.filter(pk=agent.pk).update(**ended)
        live_secrets(agent).update(expires_at=now)
        agent_deleted.send(sender=Agent, agent=agent, actor=actor, now=now)
        record_agent(Event.AGENT_DELETED, actor=actor, agent=agent, metadata={"name": agent.name})
