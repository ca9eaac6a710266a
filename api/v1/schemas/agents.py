"""Request and response models for agents."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from agents.images import MAX_BYTES
from agents.logos import logo_sources
from agents.models import Agent
from agents.redirects import MAX_REDIRECT_URI_LENGTH, MAX_REDIRECT_URIS
from agents.services import RegisteredAgent
from api.v1.schemas.base import (
    BlankText,
    Description,
    Line,
    Moment,
    Omittable,
    OneOf,
    Out,
    RequestBody,
    Text,
    null_is_blank,
)
from core.links import MAX_LINK_LENGTH

MAX_NAME, MAX_SCOPES, MAX_SCOPE, MAX_REASON = 200, 200, 200, 300

AgentStatus = Annotated[str, OneOf(*Agent.Status.values)]
Name = Annotated[Line, Field(max_length=MAX_NAME)]
RedirectUri = Annotated[Text, Field(max_length=MAX_REDIRECT_URI_LENGTH)]
RedirectUris = Annotated[list[RedirectUri], Field(min_length=1, max_length=MAX_REDIRECT_URIS)]
Reason = Annotated[Line, Field(max_length=MAX_REASON)]
# What is wrong with an address is said by `core.links`. Null means none.
_Link = Annotated[BlankText, Field(max_length=MAX_LINK_LENGTH)]
Link = Annotated[_Link, BeforeValidator(null_is_blank, json_schema_input_type=_Link | None)]
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
    """Changes to an agent. Omitted fields keep their values. The log has the reason of a new status.

    The consent screen shows the links and the logo as what the developer says. The logo is fetched once and stored, so
    nothing is changed if it cannot be used.
    """

    name: Omittable[Name] = None
    description: Omittable[Description] = None
    redirect_uris: Omittable[RedirectUris] = None
    allowed_scopes: Omittable[AllowedScopes] = None
    require_pkce: Omittable[bool] = None
    homepage_url: Omittable[Link] = None
    privacy_url: Omittable[Link] = None
    logo_url: Omittable[Link] = Field(
        None,
        description="The https address of a PNG, JPEG or WebP picture of at most "
        f"{MAX_BYTES // 1024} KB. The same address is not fetched again. Null removes the logo.",
    )
    status: Omittable[AgentStatus] = None
    status_reason: Omittable[Reason] = None


class StopOut(Out):
    """An administrator's stop. It is independent of the developer's `status`, and only an administrator can lift it."""

    at: Moment
    reason: str


class AgentOut(Out):
    """An agent: an OAuth client that an organization registered. Links and a logo are left out if it has none."""

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
    homepage_url: Omittable[str] = None
    privacy_url: Omittable[str] = None
    logo_url: Omittable[str] = Field(
        None, description="Where the logo was fetched. Pages show the copy that AgentGate stores."
    )


class NewAgentOut(AgentOut):
    """A new agent with its secret, which is shown only once."""

    client_secret: str


class RotatedClientSecretOut(Out):
    """A new secret. Earlier secrets work until `previousSecretExpiresAt`."""

    client_id: str
    client_secret: str
    previous_secret_expires_at: Moment


def show_agent(agent: Agent) -> AgentOut:
    return show_agents([agent])[0]


def show_agents(agents: Sequence[Agent]) -> list[AgentOut]:
    """Return the agents. The addresses of all their logos are read at once."""
    logos = logo_sources(agents)
    return [AgentOut(**_fields(agent), **_links(agent, logos.get(agent.id, ""))) for agent in agents]


def show_new_agent(registered: RegisteredAgent) -> NewAgentOut:
    return NewAgentOut(**_fields(registered.agent), client_secret=registered.client_secret)


def _links(agent: Agent, logo_url: str) -> dict[str, Any]:
    """Return those of the agent's addresses that are set."""
    links = {"homepage_url": agent.homepage_url, "privacy_url": agent.privacy_url, "logo_url": logo_url}
    return {name: url for name, url in links.items() if url}


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
