"""Request and response models for agents."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from agents.models import Agent
from agents.redirects import MAX_REDIRECT_URI_LENGTH, MAX_REDIRECT_URIS
from agents.services import RegisteredAgent
from api.v1.schemas.base import Description, Line, Moment, Omittable, OneOf, Out, RequestBody, Text

MAX_NAME, MAX_SCOPES, MAX_SCOPE, MAX_REASON = 200, 200, 200, 300

AgentStatus = Annotated[str, OneOf(*Agent.Status.values)]
Name = Annotated[Line, Field(max_length=MAX_NAME)]
RedirectUri = Annotated[Text, Field(max_length=MAX_REDIRECT_URI_LENGTH)]
RedirectUris = Annotated[list[RedirectUri], Field(min_length=1, max_length=MAX_REDIRECT_URIS)]
Reason = Annotated[Line, Field(max_length=MAX_REASON)]
AllowedScope = Annotated[Text, Field(max_length=MAX_SCOPE)]
AllowedScopes = Annotated[list[AllowedScope], Field(min_length=1, max_length=MAX_SCOPES)]


class NewAgentBody(RequestBody):
    """An agent to register."""

    name: Name
    description: Description = ""
    redirect_uris: RedirectUris
    allowed_scopes: AllowedScopes
    require_pkce: bool = False


class UpdateAgentBody(RequestBody):
    """Changes to an agent. Omitted fields keep their values. The log has the reason of a new status."""

    name: Omittable[Name] = None
    description: Omittable[Description] = None
    redirect_uris: Omittable[RedirectUris] = None
    allowed_scopes: Omittable[AllowedScopes] = None
    require_pkce: Omittable[bool] = None
    status: Omittable[AgentStatus] = None
    status_reason: Omittable[Reason] = None


class StopOut(Out):
    """An administrator's stop. It is independent of the developer's `status`, and only an administrator can lift it."""

    at: Moment
    reason: str


class AgentOut(Out):
    """An agent: an OAuth client that an organization registered."""

    id: str
    client_id: str
    name: str
    description: str
    redirect_uris: list[str]
    allowed_scopes: list[str]
    require_pkce: bool
    status: AgentStatus
    stop: StopOut | None
    created_at: Moment
    updated_at: Moment


class NewAgentOut(AgentOut):
    """A new agent with its secret, which is shown only once."""

    client_secret: str


class RotatedClientSecretOut(Out):
    """A new secret. Earlier secrets work until `previousSecretExpiresAt`."""

    client_id: str
    client_secret: str
    previous_secret_expires_at: Moment


def show_agent(agent: Agent) -> AgentOut:
    return AgentOut(**_fields(agent))


def show_agents(agents: Sequence[Agent]) -> list[AgentOut]:
    return [show_agent(agent) for agent in agents]


def show_new_agent(registered: RegisteredAgent) -> NewAgentOut:
    return NewAgentOut(**_fields(registered.agent), client_secret=registered.client_secret)


def _fields(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "client_id": agent.client_id,
        "name": agent.name,
        "description": agent.description,
        "redirect_uris": agent.redirect_uri_list,
        "allowed_scopes": agent.allowed_scopes,
        "require_pkce": agent.require_pkce,
        "status": agent.status,
        "stop": StopOut(at=agent.stopped_at, reason=agent.stop_reason) if agent.stopped_at else None,
        "created_at": agent.created,
        "updated_at": agent.updated,
    }
