"""The organization's agents."""

from agents.client_secrets import rotate_client_secret
from agents.selectors import agent_for_organization, agents_for_organization
from agents.services import register_agent, update_agent
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.agents import (
    AgentOut,
    NewAgentBody,
    NewAgentOut,
    RotatedClientSecretOut,
    UpdateAgentBody,
    show_agent,
    show_agents,
    show_new_agent,
)
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.people import RotationBody
from core.errors import Invalid
from core.idempotency import Answer
from resources.errors import InvalidScope


class Agents(DeveloperEndpoint):
    @operation("listAgents", "List the organization's agents", answer=Page[AgentOut])
    def get(self, query: PageQuery) -> Page[AgentOut]:
        rows = agents_for_organization(self.developer.organization_id)
        return paginate(Page[AgentOut], rows, query, show_agents)

    @operation(
        "createAgent",
        "Register an agent",
        answer=NewAgentOut,
        status=201,
        errors=(InvalidScope,),
        repeatable=True,
        request_example={
            "name": "SmartMail",
            "redirectUris": ["https://agent.example/callback"],
            "allowedScopes": ["email:read", "email:send"],
        },
    )
    def post(self, body: NewAgentBody) -> Answer:
        def work() -> NewAgentOut:
            organization = self.developer.organization
            return show_new_agent(register_agent(actor=self.actor, organization=organization, **dict(body)))

        return self.answer_once(self.developer.id, work)


class OneAgent(DeveloperEndpoint):
    """An agent by its `agt_` or `agc_` id."""

    @operation("getAgent", "Get an agent", answer=AgentOut)
    def get(self, agent_id: str) -> AgentOut:
        return show_agent(agent_for_organization(self.developer.organization_id, agent_id))

    @operation(
        "updateAgent",
        "Update an agent",
        description="Removed scopes and a suspension apply to every verify request that starts after the response.",
        answer=AgentOut,
        errors=(InvalidScope,),
    )
    def patch(self, agent_id: str, body: UpdateAgentBody) -> AgentOut:
        changes = body.sent()
        reason = changes.pop("status_reason", "")
        if reason and "status" not in changes:
            raise Invalid.field("statusReason", "Only with a status.")
        agent = agent_for_organization(self.developer.organization_id, agent_id)
        if changes:
            agent = update_agent(actor=self.actor, agent=agent, changes=changes, reason=reason)
        return show_agent(agent)


class RotateClientSecret(DeveloperEndpoint):
    @operation(
        "rotateAgentSecret",
        "Rotate an agent's secret",
        description="Earlier secrets keep working for `overlapSeconds`, by default not at all.",
        answer=RotatedClientSecretOut,
        repeatable=True,
    )
    def post(self, agent_id: str, body: RotationBody) -> Answer:
        agent = agent_for_organization(self.developer.organization_id, agent_id)

        def work() -> RotatedClientSecretOut:
            new = rotate_client_secret(actor=self.actor, agent=agent, overlap_seconds=body.overlap_seconds)
            return RotatedClientSecretOut(
                client_id=agent.client_id,
                client_secret=new.value,
                previous_secret_expires_at=new.previous_expires_at,
            )

        return self.answer_once(self.developer.id, work)
