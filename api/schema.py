"""The OpenAPI document, generated from the operations and from what all endpoints have in common."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.openapi import AutoSchema as SpectacularSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from pydantic.json_schema import GenerateJsonSchema

from accounts.errors import EmailUnverified
from api.authentication import CsrfFailed, MultipleCredentials
from api.clients import ProgramOrUserEndpoint, ServerEndpoint
from api.endpoint import (
    ORGANIZATION_HEADER,
    AnyCredentialEndpoint,
    DeveloperEndpoint,
    OptionalCredentialEndpoint,
    UserEndpoint,
)
from api.operations import ErrorType, operation
from api.parsers import MalformedRequest, PayloadTooLarge
from api.problems import (
    MEDIA_TYPE,
    HeadTooLarge,
    InternalError,
    LengthRequired,
    RequestTimeout,
    UnsupportedMediaType,
)
from api.v1.schemas.problems import ProblemOut
from core.errors import Forbidden, Invalid, NotAuthenticated, NotFound, Throttled, Unavailable
from core.http import BASIC_CHALLENGE
from core.idempotency import MAX_KEY_LENGTH, IdempotencyKeyReused
from developers.access import KeyLimited, NotMember, OrganizationRequired
from developers.errors import OrganizationDeleting, OrganizationSuspended
from developers.roles import RoleInsufficient

PATH_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    OpenApiParameter.HEADER,
    description="Repeat the request with the same key to get the same response without a second effect.",
)
ORGANIZATION = OpenApiParameter(
    ORGANIZATION_HEADER,
    str,
    OpenApiParameter.HEADER,
    description="The id of the organization (`org_`) that a session acts for, if its user is a member of several.",
)
EVENT_STREAM = "text/event-stream"
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "string", "pattern": "^[0-9]{1,18}$"},
    OpenApiParameter.HEADER,
    description="Takes the place of `after`. Clients of event streams send it when they resume.",
)
REQUEST_ID = OpenApiParameter(
    "X-Request-Id", str, OpenApiParameter.HEADER, response=True, required=True, description="Identifies this request."
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[429, 503],
    required=True,
    description="Seconds to wait before trying again.",
)
RETRY_CONFLICT = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[409, 429, 503],
    required=True,
    description="Seconds to wait before trying again.",
)
CACHE_CONTROL = OpenApiParameter(
    "Cache-Control",
    str,
    OpenApiParameter.HEADER,
    response=True,
    required=True,
    description="`no-store`, except for the scope catalogue.",
)
CACHEABLE = OpenApiParameter(
    "Cache-Control",
    str,
    OpenApiParameter.HEADER,
    response=True,
    required=True,
    description="How long caches may keep the response. `no-store` for errors.",
)


class AutoSchema(SpectacularSchema):
    """Describe the handlers that have an `operation`. All others are left out."""

    @property
    def operation(self) -> operation:
        return getattr(self.view, self.method.lower()).operation

    def is_excluded(self) -> bool:
        return not hasattr(getattr(self.view, self.method.lower(), None), "operation")

    def get_operation_id(self) -> str:
        """Return the operation's name, followed by the method if the handler also serves other methods."""
        handler = getattr(self.view, self.method.lower())
        is_own = handler.__name__ == self.method.lower()
        return self.operation.name if is_own else self.operation.name + self.method.title()

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:
        return self.operation.description

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_request_serializer(self) -> Any:
        return self.operation.body

    def get_override_parameters(self) -> list[Any]:
        """Return the path, query and header parameters, including response headers."""
        found: list[Any] = [
            OpenApiParameter(
                name, PATH_VALUES.get(name, PATH_ID), OpenApiParameter.PATH, description=PATH_DESCRIPTIONS.get(name, "")
            )
            for name in self._path_names()
        ]
        if self.operation.query:
            found.append(self.operation.query)
        if self.operation.repeatable:
            found.append(IDEMPOTENCY_KEY)
        if self.operation.is_event_stream:
            found.append(LAST_EVENT_ID)
        if isinstance(self.view, (DeveloperEndpoint, OptionalCredentialEndpoint)) and not self._is_for_agents:
            found.append(ORGANIZATION)
        cache_control = CACHE_CONTROL if getattr(self.view, "cache_control", "no-store") == "no-store" else CACHEABLE
        return [*found, REQUEST_ID, self._retry_after(), cache_control]

    def get_examples(self) -> list[OpenApiExample]:
        if self.operation.request_example is None:
            return []
        return [OpenApiExample("request", value=self.operation.request_example, request_only=True)]

    def get_response_serializers(self) -> Any:
        answers: dict[Any, Any] = {self._success_key(): self._success()}
        if self.operation.is_event_stream:
            answers[(self.operation.status, EVENT_STREAM)] = {"type": "string"}
        if self.operation.accepted:
            answers[202] = OpenApiResponse(response=self.operation.accepted, description=HTTPStatus(202).phrase)
        for status, errors in sorted(_by_status(self._errors()).items()):
            answers[(status, MEDIA_TYPE)] = _refusal(status, errors)
        if self.operation.unavailable:
            del answers[(503, MEDIA_TYPE)]
            answers[503] = OpenApiResponse(response=self.operation.unavailable, description="It cannot decide.")
        return answers

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the accepted credentials. `{}` stands for none, or for client credentials in the body."""
        if isinstance(self.view, ServerEndpoint):
            return [{"basic": []}]
        if self._is_for_agents or getattr(self.view, "challenge", None) == BASIC_CHALLENGE:
            return [{"basic": []}, {}]
        if not self.view.authentication_classes:
            return [{}]
        if isinstance(self.view, ProgramOrUserEndpoint):
            return [{"basic": []}, {"sessionToken": []}, {"browserSession": []}]
        if isinstance(self.view, UserEndpoint):
            return [{"sessionToken": []}, {"browserSession": []}]
        anyone: list[dict[str, list[str]]] = [{"apiKey": []}, {"sessionToken": []}, {"browserSession": []}]
        if self.operation.agents:
            return [*anyone, {"basic": []}, {}]
        return anyone if isinstance(self.view, (DeveloperEndpoint, AnyCredentialEndpoint)) else [*anyone, {}]

    def _success(self) -> OpenApiResponse:
        phrase = HTTPStatus(self.operation.status).phrase
        body = {"type": "string"} if self.operation.media_type else self.operation.answer
        return OpenApiResponse(response=body, description=phrase)

    def _success_key(self) -> Any:
        status, media_type = self.operation.status, self.operation.media_type
        return (status, media_type) if media_type else status

    def _retry_after(self) -> OpenApiParameter:
        conflicts = [error for error in self._errors() if error.status == 409]
        return RETRY_CONFLICT if conflicts and all(error.retry_after for error in conflicts) else RETRY_AFTER

    def _errors(self) -> Iterator[ErrorType]:
        """Yield every error that the operation can return."""
        yield from self.operation.errors
        yield from (InternalError, Unavailable, MalformedRequest, RequestTimeout, HeadTooLarge)
        if self.operation.body or self.operation.query:
            yield Invalid
        if self.operation.body:
            yield from (LengthRequired, PayloadTooLarge, UnsupportedMediaType)
        if self._path_names():
            yield NotFound
        if self.operation.repeatable:
            yield from (Invalid, IdempotencyKeyReused)
        if getattr(self.view, "challenge", None) == BASIC_CHALLENGE:
            yield Throttled
        yield from self._credential_errors()

    @property
    def _is_for_agents(self) -> bool:
        return self.operation.agents == "only"

    def _credential_errors(self) -> Iterator[ErrorType]:
        if self._is_for_agents:
            return
        if isinstance(self.view, (DeveloperEndpoint, UserEndpoint, OptionalCredentialEndpoint)):
            yield from (MultipleCredentials, NotAuthenticated)
        if isinstance(self.view, (DeveloperEndpoint, OptionalCredentialEndpoint)):
            yield from (OrganizationSuspended, EmailUnverified, NotMember, KeyLimited)
        if isinstance(self.view, DeveloperEndpoint):
            yield from (OrganizationRequired, RoleInsufficient)
        if isinstance(self.view, (DeveloperEndpoint, UserEndpoint)):
            yield Forbidden
            if self.method not in ("GET", "HEAD"):
                yield CsrfFailed
        if isinstance(self.view, DeveloperEndpoint) and self.method != "GET" and not self.operation.while_deleting:
            yield OrganizationDeleting

    def _path_names(self) -> list[str]:
        return [piece[1:-1] for piece in self.path.split("/") if piece.startswith("{")]

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Return False: the models of lists already describe their pages."""
        return False


PATH_DESCRIPTIONS = {
    "agent_id": "The agent's id (`agt_`) or client id (`agc_`).",
    "user_id": "`me`, or the user's own id (`usr_`).",
    "consent_id": "The consent's id (`cns_`).",
    "member_id": "The member's id (`dev_`).",
    "key_id": "The API key's id (`key_`).",
    "secret_id": "The client secret's id (`sec_`).",
    "approval_id": "The approval's id (`apr_`).",
    "policy_id": "The policy's id (`pol_`).",
    "server_id": "The resource server's id (`res_`).",
    "webhook_id": "The webhook's id (`whk_`).",
    "delivery_id": "The delivery's id (`dlv_`).",
    "delegation_id": "The delegation's id (`del_`).",
    "category": "A category of the catalogue.",
    "entry_id": "The entry's id (`log_`).",
    "tile": "The path of a tile (C2SP tlog-tiles): level, number, and `.p/` with the width of a partial tile.",
}
# Its slashes are not escaped, which OpenAPI cannot say.
PATH_VALUES = {"tile": {"type": "string", "pattern": "^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\\.p/[0-9]{1,3})?$"}}
SECURITY_SCHEMES = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "A developer's API key, `ag_...`.",
    },
    "sessionToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The session token that a login returns, `st_...`. An agent's access token is not accepted.",
    },
    "browserSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The browser session of the pages. Unsafe methods require the CSRF token in `X-CSRFToken`.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "An agent's client id and secret (`agc_...:ags_...`), or a resource server's id and secret "
        "(`res_...:rs_...`). Agents can send their credentials in the body instead, but not in both places.",
    },
}


class ModelJsonSchema(GenerateJsonSchema):
    """Leave out titles, which repeat names, and null defaults, which only mean that a field is optional."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        is_omittable = schema.get("default", ...) is None
        return self.generate_inner(schema["schema"]) if is_omittable else super().default_schema(schema)


class ModelExtension(PydanticExtension):
    """Describe request models in validation mode and response models in serialization mode."""

    target_class = "pydantic.BaseModel"
    match_subclasses = True
    priority = 1

    def map_serializer(self, auto_schema: Any, direction: str) -> Any:
        schema = self.target.model_json_schema(
            ref_template="#/components/schemas/{model}",
            schema_generator=ModelJsonSchema,
            mode="validation" if direction == "request" else "serialization",
        )
        for name, definition in schema.pop("$defs", {}).items():
            definition.pop("title", None)
            component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name, schema=definition)
            auto_schema.registry.register_on_missing(component)
        schema.pop("title", None)
        return schema


def _by_status(errors: Iterator[ErrorType]) -> dict[int, list[ErrorType]]:
    found: dict[int, list[ErrorType]] = {}
    for error in errors:
        if error not in found.setdefault(error.status, []):
            found[error.status].append(error)
    return found


def _refusal(status: int, errors: list[ErrorType]) -> OpenApiResponse:
    """Return the error response of one status, with its possible codes."""
    errors = sorted(errors, key=lambda error: error.code)
    meanings = "; ".join(f"`{error.code}`: {error.title}" for error in errors)
    return OpenApiResponse(response=ProblemOut, description=meanings)
