"""Resource servers and the scopes of their own, as they come in and go out."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter

from api.v1.schemas.base import Line, Moment, Omittable, Out, RequestBody, Text
from api.v1.schemas.scopes import RiskLevel
from resources.catalogue import Scope, catalogue, describe_scopes
from resources.custom_scopes import MAX_SCOPE_ID, MAX_SCOPES, SCOPE_ID, ScopeDefinition
from resources.models import ResourceServer
from resources.services import MAX_IDENTIFIER_LENGTH, RegisteredResourceServer

MAX_NAME, MAX_TITLE, MAX_WORDS = 200, 80, 200

Name = Annotated[Line, Field(max_length=MAX_NAME)]
ScopeId = Annotated[Text, Field(max_length=MAX_SCOPE_ID)]
SCOPE_ID_ADAPTER: TypeAdapter[str] = TypeAdapter(ScopeId)


class OwnScopeBody(RequestBody):
    """A scope of the service's own, in the words of the consent screen."""

    id: ScopeId = Field(json_schema_extra={"pattern": f"^{SCOPE_ID.pattern}$"})
    risk_level: RiskLevel
    title: Line = Field(max_length=MAX_TITLE)
    description: Line = Field(max_length=MAX_WORDS)
    cannot: Line = Field(max_length=MAX_WORDS)


def _read_scope(value: Any) -> str | ScopeDefinition:
    if isinstance(value, str):
        return SCOPE_ID_ADAPTER.validate_python(value)
    return ScopeDefinition(**OwnScopeBody.model_validate(value).sent())


# The id of a scope, or a scope of the service's own in full. Not a union: its errors would name the branch.
GivenScope = Annotated[
    str | ScopeDefinition, PlainValidator(_read_scope, json_schema_input_type=ScopeId | OwnScopeBody)
]
GivenScopes = Annotated[list[GivenScope], Field(min_length=1, max_length=MAX_SCOPES)]


class NewResourceServerBody(RequestBody):
    """A service that accepts our tokens."""

    name: Name
    scopes: GivenScopes
    identifier: Text = Field(
        max_length=MAX_IDENTIFIER_LENGTH,
        description="The service's audience: an absolute https or http URI without user name or fragment. The answer "
        "has it in its canonical form: scheme and host in lower case, an international host in ASCII, no dot after the "
        "host, no default port, no slash alone as path, no dot segments, no needless escapes.",
    )


class UpdateResourceServerBody(RequestBody):
    """What of a resource server can be changed. Its identifier stays: tokens carry it."""

    name: Omittable[Name] = None
    scopes: Omittable[GivenScopes] = None


class OwnScopeOut(Out):
    """A scope of the service's own, in the words of the consent screen."""

    id: str
    risk_level: RiskLevel
    title: str
    description: str
    cannot: str


class ResourceServerOut(Out):
    """A service that accepts our tokens. `scopes` can be sent back as they are."""

    id: str
    name: str
    identifier: str
    scopes: list[str | OwnScopeOut]
    created_at: Moment
    updated_at: Moment


class NewResourceServerOut(ResourceServerOut):
    """A resource server just registered, with its secret, which is shown this once."""

    secret: str


class RotatedResourceServerSecretOut(Out):
    """A new secret. Those before it work until `previousSecretExpiresAt`."""

    id: str
    secret: str
    previous_secret_expires_at: Moment


def show_resource_server(server: ResourceServer) -> ResourceServerOut:
    return show_resource_servers([server])[0]


def show_resource_servers(servers: Sequence[ResourceServer]) -> list[ResourceServerOut]:
    """Return the resource servers, the words of all their scopes read at once."""
    words = _words_of(servers)
    return [ResourceServerOut(**_facts(server, words)) for server in servers]


def show_new_resource_server(registered: RegisteredResourceServer) -> NewResourceServerOut:
    words = _words_of([registered.server])
    return NewResourceServerOut(**_facts(registered.server, words), secret=registered.secret)


def _words_of(servers: Sequence[ResourceServer]) -> dict[str, Scope]:
    return {scope.id: scope for scope in describe_scopes(one for server in servers for one in server.scopes)}


def _facts(server: ResourceServer, words: dict[str, Scope]) -> dict[str, Any]:
    def show(scope_id: str) -> str | OwnScopeOut:
        return scope_id if scope_id in catalogue() else OwnScopeOut.model_validate(words[scope_id])

    return {
        "id": server.id,
        "name": server.name,
        "identifier": server.identifier,
        "scopes": [show(scope_id) for scope_id in server.scopes if scope_id in words],
        "created_at": server.created_at,
        "updated_at": server.updated_at,
    }
