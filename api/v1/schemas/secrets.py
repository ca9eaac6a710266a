"""Request and response models for named secrets: the client secrets of agents, and developers' API keys."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from agents.models import Agent
from api.v1.schemas.base import Line, Moment, Omittable, OneOf, Out, RequestBody, WholeNumber
from api.v1.schemas.policies import AgentId
from core.rotation import AddedSecret, NamedSecret, NewSecret
from developers.api_keys import (
    MAX_AGENTS,
    MAX_LIFETIME_SECONDS,
    MAX_ORGANIZATION_LIFETIME_SECONDS,
    MIN_LIFETIME_SECONDS,
)
from developers.models import ApiKey
from developers.roles import Role

MAX_NAME = 100

RoleName = Annotated[str, OneOf(*Role.values)]
Name = Annotated[Line, Field(max_length=MAX_NAME)]
Lifetime = Annotated[WholeNumber, Field(ge=MIN_LIFETIME_SECONDS, le=MAX_LIFETIME_SECONDS)]


class NewSecretBody(RequestBody):
    """A client secret to create."""

    name: Name = Field(description="Where it is used. No two of an agent's secrets can have the same name.")


class NewApiKeyBody(RequestBody):
    """An API key to create."""

    name: Name = Field(description="Where it is used. No two of a developer's keys can have the same name.")
    expires_in_seconds: Omittable[Lifetime] = Field(
        None,
        description="For how many seconds it works, also after each rotation. Without it, a developer's key does not "
        f"expire. A key of the organization works for at most {MAX_ORGANIZATION_LIFETIME_SECONDS}, the default.",
    )
    role: Omittable[RoleName] = Field(
        None,
        description="What it may do, at most what the caller may do, which is the default. It may never do more than "
        "its developer's current role. A key of the organization is `developer`, the default, or `auditor`.",
    )
    agent_ids: Omittable[list[AgentId]] = Field(
        None,
        min_length=1,
        max_length=MAX_AGENTS,
        description="The only agents that it reaches. It creates nothing then, and only the operations that say so "
        "accept it. Without this field, it reaches all agents.",
    )
    owned_by_organization: bool = Field(
        default=False,
        description="Whether it belongs to the organization, so that it keeps working when its maker leaves. Owners "
        "and admins can create, rotate and revoke such keys.",
    )


class SecretOut(Out):
    """A client secret or API key that works, without its value."""

    id: str
    name: str = Field(description="Its name. Empty for the first one, and for what replaced it.")
    hint: str = Field(description="How its value begins and ends.")
    created_at: Moment
    last_used_at: Moment | None = Field(description="When it was last used, to within ten minutes, or null.")
    expires_at: Moment | None = Field(description="When it stops working, or null.")


class ApiKeyOut(SecretOut):
    """An API key that works, without its value."""

    role: RoleName = Field(description="What it may do, if its developer's current role permits it.")
    agent_ids: list[str] | None = Field(description="The only agents that it reaches, or null for all.")
    owned_by_organization: bool
    made_by: str | None = Field(description="The member who made it, or null if their account was erased.")


class NewClientSecretOut(SecretOut):
    """A new client secret. Its value is shown only once."""

    client_id: str
    client_secret: str


class RotatedNamedClientSecretOut(NewClientSecretOut):
    """A new client secret. The one that it replaces works until `previousSecretExpiresAt`."""

    previous_secret_expires_at: Moment


class NewApiKeyOut(ApiKeyOut):
    """A new API key. Its value is shown only once."""

    api_key: str


class RotatedNamedApiKeyOut(NewApiKeyOut):
    """A new API key. The one that it replaces works until `previousKeyExpiresAt`."""

    previous_key_expires_at: Moment


def show_secrets(secrets: Sequence[NamedSecret]) -> list[SecretOut]:
    return [SecretOut(**_fields(secret)) for secret in secrets]


def show_new_client_secret(agent: Agent, added: AddedSecret) -> NewClientSecretOut:
    return NewClientSecretOut(**_fields(added.row), client_id=agent.client_id, client_secret=added.value)


def show_rotated_client_secret(agent: Agent, new: NewSecret) -> RotatedNamedClientSecretOut:
    return RotatedNamedClientSecretOut(
        **_fields(new.row),
        client_id=agent.client_id,
        client_secret=new.value,
        previous_secret_expires_at=new.previous_expires_at,
    )


def show_api_keys(keys: Sequence[ApiKey]) -> list[ApiKeyOut]:
    return [ApiKeyOut(**_fields_of_key(key)) for key in keys]


def show_new_api_key(added: AddedSecret) -> NewApiKeyOut:
    return NewApiKeyOut(**_fields_of_key(added.row), api_key=added.value)


def show_rotated_api_key(new: NewSecret) -> RotatedNamedApiKeyOut:
    return RotatedNamedApiKeyOut(
        **_fields_of_key(new.row), api_key=new.value, previous_key_expires_at=new.previous_expires_at
    )


def _fields_of_key(key: ApiKey) -> dict[str, Any]:
    return {
        **_fields(key),
        "role": key.role,
        "agent_ids": key.agent_ids,
        "owned_by_organization": key.developer_id is None,
        "made_by": key.developer_id or key.made_by_id,
    }


def _fields(secret: NamedSecret) -> dict[str, Any]:
    return {
        "id": secret.pk,
        "name": secret.name,
        "hint": str(secret),
        "created_at": secret.created_at,
        "last_used_at": secret.last_used_at,
        "expires_at": secret.expires_at,
    }
