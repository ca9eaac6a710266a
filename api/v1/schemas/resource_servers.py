"""Request and response models for resource servers and the scopes that they define."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter

from api.v1.schemas.base import Line, Moment, Omittable, Out, RequestBody, Text
from api.v1.schemas.scopes import Label, RiskLevel
from resources.catalogue import LABELS, MAX_SCOPE_ID, SCOPE_ID, Scope, catalogue, describe_scopes
from resources.custom_scopes import MAX_ACTIONS, MAX_SCOPES, ScopeDefinition
from resources.models import ResourceServer
from resources.services import MAX_IDENTIFIER_LENGTH, RegisteredResourceServer

MAX_NAME, MAX_TITLE, MAX_WORDS = 200, 80, 200
OWN_TEXTS = ("id", "risk_level", "title", "description", "cannot")

Name = Annotated[Line, Field(max_length=MAX_NAME)]
ScopeId = Annotated[Text, Field(max_length=MAX_SCOPE_ID)]
Actions = Annotated[list[ScopeId], Field(max_length=MAX_ACTIONS)]
SCOPE_ID_ADAPTER: TypeAdapter[str] = TypeAdapter(ScopeId)


class OwnScopeBody(RequestBody):
    """A scope that the service defines, with its texts on the consent screen."""

    id: ScopeId = Field(json_schema_extra={"pattern": f"^{SCOPE_ID.pattern}$"})
    risk_level: RiskLevel
    title: Line = Field(max_length=MAX_TITLE)
    description: Line = Field(max_length=MAX_WORDS)
    cannot: Line = Field(max_length=MAX_WORDS)
    labels: list[Label] = Field(
        [],
        max_length=len(LABELS),
        description="What the scope does with data: it reads `private` data, brings in `untrusted` text that others "
        "wrote, or can send data out (`outbound`). A guard can stop data from flowing out after the others.",
    )
    reversible: bool = Field(
        default=False,
        description="Whether its effect can be undone. If not, the consent screen suggests to ask for every use.",
    )
    covers: Omittable[Actions] = Field(
        None,
        description="The actions that the scope allows besides its own id, with its prefix. Once a scope covers any, "
        "verify denies each action with this prefix that no granted scope covers. Consents of before an action was "
        "added do not include it. Without this field, they stay as they are.",
    )
    excludes: Omittable[Actions] = Field(
        None,
        description="The actions that `cannot` names, with the prefix of the scope. Verify denies each unless another "
        "granted scope covers it. Without this field, they stay as they are.",
    )


def _read_scope(value: Any) -> str | ScopeDefinition:
    if isinstance(value, str):
        return SCOPE_ID_ADAPTER.validate_python(value)
    given = OwnScopeBody.model_validate(value)
    return ScopeDefinition(
        given.id,
        given.risk_level,
        given.title,
        given.description,
        given.cannot,
        labels=given.labels,
        is_reversible=given.reversible,
        covers=given.covers,
        excludes=given.excludes,
    )


# A scope id, or the definition of the service's own scope. Not a union, because its errors would name the branch.
GivenScope = Annotated[
    str | ScopeDefinition, PlainValidator(_read_scope, json_schema_input_type=ScopeId | OwnScopeBody)
]
GivenScopes = Annotated[list[GivenScope], Field(min_length=1, max_length=MAX_SCOPES)]


class NewResourceServerBody(RequestBody):
    """A resource server to register: a service that accepts access tokens of this server."""

    name: Name
    scopes: GivenScopes
    identifier: Text = Field(
        max_length=MAX_IDENTIFIER_LENGTH,
        description="The service's audience: an absolute https or http URI without user name or fragment. The response "
        "contains its canonical form: scheme and host in lower case, international hosts in ASCII, no dot after the "
        "host, no default port, no path of only a slash, no dot segments, no unnecessary escapes.",
    )


class UpdateResourceServerBody(RequestBody):
    """Changes to a resource server. Its identifier cannot change, because tokens contain it."""

    name: Omittable[Name] = None
    scopes: Omittable[GivenScopes] = None


class OwnScopeOut(Out):
    """A scope that the service defines, with its texts on the consent screen.

    `labels`, `covers` and `excludes` are left out if there are none, and `reversible` if it is false.
    """

    id: str
    risk_level: RiskLevel
    title: str
    description: str
    cannot: str
    labels: Omittable[list[Label]] = None
    reversible: Omittable[bool] = None
    covers: Omittable[list[str]] = None
    excludes: Omittable[list[str]] = None


class ResourceServerOut(Out):
    """A service that accepts access tokens of this server. Its `scopes` can be sent back unchanged."""

    id: str
    name: str
    identifier: str
    scopes: list[str | OwnScopeOut]
    created_at: Moment
    updated_at: Moment


class NewResourceServerOut(ResourceServerOut):
    """A new resource server with its secret, which is shown only once."""

    secret: str


class RotatedResourceServerSecretOut(Out):
    """A new secret. Earlier secrets work until `previousSecretExpiresAt`."""

    id: str
    secret: str
    previous_secret_expires_at: Moment


def show_resource_server(server: ResourceServer) -> ResourceServerOut:
    return show_resource_servers([server])[0]


def show_resource_servers(servers: Sequence[ResourceServer]) -> list[ResourceServerOut]:
    """Return the resource servers. Each distinct scope is read and built once, because many servers share scopes."""
    shown = _show_scopes(servers)
    return [ResourceServerOut(**_fields(server, shown)) for server in servers]


def show_new_resource_server(registered: RegisteredResourceServer) -> NewResourceServerOut:
    shown = _show_scopes([registered.server])
    return NewResourceServerOut(**_fields(registered.server, shown), secret=registered.secret)


def _show_scopes(servers: Sequence[ResourceServer]) -> dict[str, str | OwnScopeOut]:
    """Return how each scope of the servers is shown, by id: the id if it is in the catalogue, else its texts."""
    scopes = describe_scopes(one for server in servers for one in server.scopes)
    return {one.id: one.id if one.id in catalogue() else _show_own(one) for one in scopes}


def _show_own(scope: Scope) -> OwnScopeOut:
    shown: dict[str, Any] = {name: getattr(scope, name) for name in OWN_TEXTS}
    if scope.labels:
        shown["labels"] = sorted(scope.labels)
    if scope.is_reversible:
        shown["reversible"] = True
    for name in ("covers", "excludes"):
        if actions := getattr(scope, name):
            shown[name] = list(actions)
    return OwnScopeOut(**shown)


def _fields(server: ResourceServer, shown: Mapping[str, str | OwnScopeOut]) -> dict[str, Any]:
    return {
        "id": server.id,
        "name": server.name,
        "identifier": server.identifier,
        "scopes": [shown[scope_id] for scope_id in server.scopes if scope_id in shown],
        "created_at": server.created_at,
        "updated_at": server.updated_at,
    }
