"""The organization's agents."""

from accounts.errors import ReauthenticationRequired
from agents.client_secrets import MAX_SECRETS, create_client_secret, revoke_client_secret, rotate_client_secret
from agents.models import Agent
from agents.selectors import agents_for_organization, live_secrets
from agents.services import register_agent, throttle_agents
from agents.settings import save_settings
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
from api.v1.schemas.secrets import (
    NewClientSecretOut,
    NewSecretBody,
    RotatedNamedClientSecretOut,
    SecretOut,
    show_new_client_secret,
    show_rotated_client_secret,
    show_secrets,
)
from core.errors import Invalid, Throttled
from core.fetching import TooManyFetches
from core.idempotency import Answer
from core.rotation import AlreadyReplaced
from developers.roles import Right
from resources.errors import InvalidScope


class Agents(DeveloperEndpoint):
    @operation(
        "listAgents", "List the organization's agents", answer=Page[AgentOut], right=Right.READ, about_agents=True
    )
    def get(self, query: PageQuery) -> Page[AgentOut]:
        rows = agents_for_organization(self.organization_id)
        if self.access.agent_ids is not None:
            rows = rows.filter(pk__in=self.access.agent_ids)
        return paginate(Page[AgentOut], rows, query, show_agents)

    @operation(
        "createAgent",
        "Register an agent",
        answer=NewAgentOut,
        status=201,
        errors=(InvalidScope, ReauthenticationRequired, Throttled),
        repeatable=True,
        request_example={
            "name": "SmartMail",
            "redirectUris": ["https://agent.example/callback"],
            "allowedScopes": ["email:read", "email:send"],
        },
        right=Right.DEVELOP,
    )
    def post(self, body: NewAgentBody) -> Answer:
        def work() -> NewAgentOut:
            organization = self.access.organization
            return show_new_agent(register_agent(actor=self.actor, organization=organization, **dict(body)))

        throttle_agents(self.organization_id)
        return self.answer_once(self.access.credential, work)


class OneAgent(DeveloperEndpoint):
    """An agent by its `agt_` or `agc_` id."""

    @operation("getAgent", "Get an agent", answer=AgentOut, right=Right.READ, about_agents=True)
    def get(self, agent_id: str) -> AgentOut:
        return show_agent(self.own_agent(agent_id))

    @operation(
        "updateAgent",
        "Update an agent",
        description="Removed scopes and a suspension apply to every verify request that starts after the response. "
        "After a password reset that suspended the agent, activating it drops the redirect URIs from before the reset.",
        answer=AgentOut,
        errors=(InvalidScope, ReauthenticationRequired, Throttled, TooManyFetches),
        right=Right.DEVELOP,
        about_agents=True,
    )
    def patch(self, agent_id: str, body: UpdateAgentBody) -> AgentOut:
        changes = body.sent()
        reason, logo_url = changes.pop("status_reason", ""), changes.pop("logo_url", None)
        if reason and "status" not in changes:
            raise Invalid.field("statusReason", "Only with a status.")
        agent = self.own_agent(agent_id)
        save_settings(actor=self.actor, agent=agent, changes=changes, logo_url=logo_url, reason=reason)
        return show_agent(self.own_agent(agent.id))


class SecretEndpoint(DeveloperEndpoint):
    def agent(self, agent_id: str) -> Agent:
        return self.own_agent(agent_id)


class ClientSecrets(SecretEndpoint):
    @operation(
        "listAgentSecrets",
        "List an agent's client secrets, newest first, without their values",
        answer=Page[SecretOut],
        right=Right.READ,
        about_agents=True,
    )
    def get(self, agent_id: str, query: PageQuery) -> Page[SecretOut]:
        return paginate(Page[SecretOut], live_secrets(self.agent(agent_id)), query, show_secrets)

    @operation(
        "createAgentSecret",
        "Create another client secret for an agent",
        description=f"Give each place that uses one its own. At most {MAX_SECRETS} work at once.",
        answer=NewClientSecretOut,
        status=201,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        request_example={"name": "production"},
        right=Right.DEVELOP,
    )
    def post(self, agent_id: str, body: NewSecretBody) -> Answer:
        agent = self.agent(agent_id)

        def work() -> NewClientSecretOut:
            added = create_client_secret(actor=self.actor, agent=agent, name=body.name)
            return show_new_client_secret(agent, added)

        return self.answer_once(self.access.credential, work)


class OneClientSecret(SecretEndpoint):
    @operation(
        "revokeAgentSecret",
        "Revoke one of an agent's client secrets",
        description="The agent's access tokens work until they expire, and its other secrets keep working.",
        status=204,
        right=Right.DEVELOP,
        about_agents=True,
    )
    def delete(self, agent_id: str, secret_id: str) -> None:
        revoke_client_secret(actor=self.actor, agent=self.agent(agent_id), secret_id=secret_id)


class RotateOneClientSecret(SecretEndpoint):
    @operation(
        "rotateOneAgentSecret",
        "Rotate one of an agent's client secrets",
        description="The new secret has the same name. The earlier one keeps working for `overlapSeconds`, by default "
        "not at all.",
        answer=RotatedNamedClientSecretOut,
        errors=(AlreadyReplaced, ReauthenticationRequired),
        repeatable=True,
        right=Right.DEVELOP,
        about_agents=True,
    )
    def post(self, agent_id: str, secret_id: str, body: RotationBody) -> Answer:
        agent = self.agent(agent_id)

        def work() -> RotatedNamedClientSecretOut:
            new = rotate_client_secret(
                actor=self.actor, agent=agent, overlap_seconds=body.overlap_seconds, secret_id=secret_id
            )
            return show_rotated_client_secret(agent, new)

        return self.answer_once(self.access.credential, work)


class RotateClientSecret(DeveloperEndpoint):
    @operation(
        "rotateAgentSecret",
        "Replace all client secrets of an agent with a new one",
        description="The new secret has the name of a single earlier one. If there are several, it has none. Earlier "
        "secrets keep working for `overlapSeconds`, by default not at all. A key that is limited to some agents cannot "
        "do this for an agent without a secret that works.",
        answer=RotatedClientSecretOut,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        right=Right.DEVELOP,
        about_agents=True,
    )
    def post(self, agent_id: str, body: RotationBody) -> Answer:
        agent = self.own_agent(agent_id)
        if not live_secrets(agent).exists():
            self.access.require_unlimited()  # there is nothing to replace, and such a key creates nothing

        def work() -> RotatedClientSecretOut:
            new = rotate_client_secret(actor=self.actor, agent=agent, overlap_seconds=body.overlap_seconds)
            return RotatedClientSecretOut(
                client_id=agent.client_id,
                client_secret=new.value,
                previous_secret_expires_at=new.previous_expires_at,
            )

        return self.answer_once(self.access.credential, work)
