"""The organization's agents."""

from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import agent_for_organization, agents_for_organization
from agents.services import RegisteredAgent, register_agent, rotate_client_secret, update_agent
from api.endpoint import DeveloperEndpoint
from api.pagination import PageQuery, paginate, read_query
from api.v1.shapes.agents import Agent, AgentChanges, NewAgentBody, RotatedClientSecret
from api.v1.shapes.people import Rotation
from consent.catalogue import require_known
from core.idempotency import Answer


class Agents(DeveloperEndpoint):
    def get(self, request: Request) -> Response:
        query = read_query(request, PageQuery)
        rows = agents_for_organization(self.developer.organization_id)
        return paginate(rows, query, lambda agents: Agent(agents, many=True).data)

    def post(self, request: Request) -> Response:
        body = self.read(NewAgentBody)
        require_known(body["allowed_scopes"], field="allowedScopes")

        def work() -> Answer:
            organization = self.developer.organization
            return _show_new(register_agent(actor=self.actor, organization=organization, **body))

        return self.answer_once(self.developer.id, work)


class OneAgent(DeveloperEndpoint):
    """An agent by its `agt_` or `agc_` id."""

    def get(self, request: Request, agent_id: str) -> Response:
        return Response(Agent(agent_for_organization(self.developer.organization_id, agent_id)).data)

    def patch(self, request: Request, agent_id: str) -> Response:
        changes = self.read(AgentChanges, partial=True)
        agent = agent_for_organization(self.developer.organization_id, agent_id)
        require_known(changes.get("allowed_scopes", ()), field="allowedScopes")
        if changes:
            agent = update_agent(actor=self.actor, agent=agent, changes=changes)
        return Response(Agent(agent).data)


class RotateClientSecret(DeveloperEndpoint):
    def post(self, request: Request, agent_id: str) -> Response:
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
