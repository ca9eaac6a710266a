"""The organization's agents."""

from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import agent_for_organization, agents_for_organization
from agents.services import RegisteredAgent, register_agent, rotate_client_secret, update_agent
from api.endpoint import DeveloperEndpoint
from api.operations import operation, page_of
from api.pagination import PageQuery, paginate, read_query
from api.v1.shapes.agents import Agent, AgentChanges, NewAgent, NewAgentBody, RotatedClientSecret
from api.v1.shapes.people import Rotation
from core.idempotency import Answer
from resources.catalogue import require_known
from resources.errors import InvalidScope


class Agents(DeveloperEndpoint):
    @operation("listAgents", "List the organization's agents", query=PageQuery, answer=page_of(Agent))
    def get(self, request: Request) -> Response:
        query = read_query(request, PageQuery)
        rows = agents_for_organization(self.developer.organization_id)
        return paginate(rows, query, lambda agents: Agent(agents, many=True).data)

    @operation(
        "createAgent",
        "Register an agent",
        body=NewAgentBody,
        answer=NewAgent,
        status=201,
        errors=(InvalidScope,),
        repeatable=True,
        request_example={
            "name": "SmartMail",
            "redirectUris": ["https://agent.example/callback"],
            "allowedScopes": ["email:read", "email:send"],
        },
    )
    def post(self, request: Request) -> Answer:
        body = self.read(NewAgentBody)
        require_known(body["allowed_scopes"], field="allowedScopes")

        def work() -> Answer:
            organization = self.developer.organization
            return _show_new(register_agent(actor=self.actor, organization=organization, **body))

        return self.answer_once(self.developer.id, work)


class OneAgent(DeveloperEndpoint):
    """An agent by its `agt_` or `agc_` id."""

    @operation("getAgent", "Show an agent", answer=Agent)
    def get(self, request: Request, agent_id: str) -> Response:
        return Response(Agent(agent_for_organization(self.developer.organization_id, agent_id)).data)

    @operation(
        "updateAgent",
        "Change an agent",
        description="Narrower scopes and a suspension count for every verify that starts after the answer.",
        body=AgentChanges,
        answer=Agent,
        errors=(InvalidScope,),
    )
    def patch(self, request: Request, agent_id: str) -> Response:
        changes = self.read(AgentChanges, partial=True)
        agent = agent_for_organization(self.developer.organization_id, agent_id)
        require_known(changes.get("allowed_scopes", ()), field="allowedScopes")
        if changes:
            agent = update_agent(actor=self.actor, agent=agent, changes=changes)
        return Response(Agent(agent).data)


class RotateClientSecret(DeveloperEndpoint):
    @operation(
        "rotateAgentSecret",
        "Replace an agent's secret",
        description="The secrets before it go on for `overlapSeconds`, by default not at all.",
        body=Rotation,
        answer=RotatedClientSecret,
        repeatable=True,
    )
    def post(self, request: Request, agent_id: str) -> Answer:
        body = self.read(Rotation)
        agent = agent_for_organization(self.developer.organization_id, agent_id)

        def work() -> Answer:
            new = rotate_client_secret(actor=self.actor, agent=agent, **body)
            shown = {
                "clientId": agent.client_id,
                "clientSecret": new.value,
                "previousSecretExpiresAt": new.previous_expires_at,
            }
            return Answer(200, RotatedClientSecret(shown).data)

        return self.answer_once(self.developer.id, work)


def _show_new(registered: RegisteredAgent) -> Answer:
    return Answer(201, {**Agent(registered.agent).data, "clientSecret": registered.client_secret})
