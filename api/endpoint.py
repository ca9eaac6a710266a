"""Base classes of the endpoints: who may call them, how a request is read, and idempotent responses."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from django.http import QueryDict
from django.http.response import HttpResponseBase
from pydantic import BaseModel
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.recent import time_of_sign_in
from accounts.selectors import require_verified_address
from agents.models import Agent
from agents.selectors import agent_for_organization
from api.authentication import (
    ApiKeyAuthentication,
    ApiKeyCredential,
    BrowserSessionAuthentication,
    SessionCredential,
    SessionTokenAuthentication,
)
from api.operations import operation
from core.actor import Actor
from core.errors import Forbidden, NotAuthenticated, NotFound
from core.http import visitor
from core.idempotency import ANSWER_LIFETIME, Answer, RepeatableRequest, answer_once, is_answered
from developers.access import Access, NotMember, OrganizationRequired, access_of_user
from developers.acting import as_developer_in_session, as_key
from developers.activity import note_activity
from developers.refusals import record_refusal
from developers.roles import RoleInsufficient
from developers.services import require_kept, require_organization

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
ORGANIZATION_HEADER = "X-Organization"
CREDENTIALS = [ApiKeyAuthentication, SessionTokenAuthentication, BrowserSessionAuthentication]


class AlwaysJson(BaseContentNegotiation):
    """Respond in JSON regardless of `Accept`, so that every client gets its errors."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return next((parser for parser in parsers if parser.media_type == media_type(request)), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """An endpoint for anyone. It ignores the credentials of users and developers."""

    authentication_classes: ClassVar[Any] = []
    permission_classes: ClassVar[Any] = [AllowAny]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    cache_control = "no-store"
    path_values = ID

    actor: Actor
    operation: operation

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a wrong method before checking credentials, and impossible ids before they are looked up."""
        if request.method not in self.allowed_methods:
            raise exceptions.MethodNotAllowed(request.method or "")
        if request.method == "OPTIONS":
            return
        _require_json(request)
        super().initial(request, *args, **kwargs)
        self.actor = visitor(request._request)
        self.identify()
        if not all(self.path_values.fullmatch(value) for value in kwargs.values()):
            raise NotFound("No such resource.")

    def identify(self) -> None:
        """Set the actor if the credential is of the right kind. Raises `NotAuthenticated` or `Forbidden`."""

    def query_parameters(self) -> QueryDict:
        """Return the parameters from which an operation's query is read."""
        return self.request.query_params

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return Response(status=204)

    def answer_once(
        self, credential: str, work: Callable[[], BaseModel | Answer], *, lifetime: timedelta = ANSWER_LIFETIME
    ) -> Answer:
        """Return the result of `work`, or the stored result if the `Idempotency-Key` was used before.

        Danger: with a key, `work` runs in a transaction. Check passwords and throttles before calling this method.
        """
        repeatable = self._repeatable(credential, lifetime)
        return answer_once(repeatable, lambda: self._answer(work)) if repeatable else self._answer(work)

    def is_repeated(self, credential: str) -> bool:
        """Return whether `answer_once` would return a stored result."""
        repeatable = self._repeatable(credential, ANSWER_LIFETIME)
        return repeatable is not None and is_answered(repeatable)

    def _repeatable(self, credential: str, lifetime: timedelta) -> RepeatableRequest | None:
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            return None
        return RepeatableRequest(
            key=key, path=self.request.path, credential=credential, body=self.request.data, lifetime=lifetime
        )

    def _answer(self, work: Callable[[], BaseModel | Answer]) -> Answer:
        result = work()
        return result if isinstance(result, Answer) else self.operation.serialize(result)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = self.cache_control if response.status_code < 400 else "no-store"
        return response


class OptionalCredentialEndpoint(Endpoint):
    """An endpoint for anyone. Callers with a credential can see more. A wrong credential is refused.

    The API key of a suspended organization is refused. The session of its developer counts as that of a user, as does
    that of a member of several organizations that names none.
    """

    authentication_classes: ClassVar[Any] = CREDENTIALS
    user: User | None = None
    access: Access | None = None

    def identify(self) -> None:
        credential = self.request.auth
        if isinstance(credential, ApiKeyCredential):
            self.access = named(self.request, require_unsuspended(credential.access))
        elif credential is not None:
            self.user = user = cast("User", self.request.user)
            with suppress(OrganizationRequired):
                access = access_of_user(user, self.request.headers.get(ORGANIZATION_HEADER))
                self.access = access if access and access.organization.may_act else None

    def within_reach(self) -> AbstractContextManager[None]:
        """Return a context in which a limited key gets `KeyLimited` for what does not exist (`Access`)."""
        return self.access.hiding_absence() if self.access else nullcontext()


class AnyCredentialEndpoint(OptionalCredentialEndpoint):
    """An endpoint for a user, a developer, or an account that is both."""

    def identify(self) -> None:
        super().identify()
        if self.user is None and self.access is None:
            raise NotAuthenticated("Sign in, or send a session token or an API key.")


class UserEndpoint(Endpoint):
    """An endpoint for a user with a session token or a browser session. An API key is refused."""

    authentication_classes: ClassVar[Any] = CREDENTIALS
    user: User

    def identify(self) -> None:
        credential = self.request.auth
        if credential is None:
            raise NotAuthenticated("Sign in, or send a session token.")
        if isinstance(credential, ApiKeyCredential):
            raise Forbidden("An API key belongs to an organization. This endpoint requires a user's session.")
        self.user = self.request.user
        self.actor = self.actor.acting_as("user", self.user.id)

    @property
    def signed_in_at(self) -> datetime | None:
        return signed_in_at(self.request)


class DeveloperEndpoint(Endpoint):
    """An endpoint for a member of an organization with an API key or a session, or for a key of the organization.

    It works on that organization only. Each operation says which right it needs. A suspended organization is refused,
    even for reading.
    """

    authentication_classes: ClassVar[Any] = CREDENTIALS
    access: Access

    def identify(self) -> None:
        credential = self.request.auth
        if credential is None:
            raise NotAuthenticated("Send the API key in X-Api-Key, or a developer's session token.")
        if isinstance(credential, ApiKeyCredential):
            self.access = named(self.request, require_unsuspended(credential.access))
            self.actor = as_key(self.actor, credential.key, credential.access)
        else:
            self.access = self._access_of_user(cast("User", self.request.user))
            self.actor = as_developer_in_session(self.actor, self.access.member, signed_in_at(self.request))
        if self.access.developer is not None:
            note_activity(self.access.developer)
        self._permit()

    def _access_of_user(self, user: User) -> Access:
        access = access_of_user(user, self.request.headers.get(ORGANIZATION_HEADER))
        if access is None:
            raise Forbidden("This account is not a developer account. Register as a developer first.")
        require_verified_address(user)
        return require_unsuspended(access)

    def _permit(self) -> None:
        """Raise `RoleInsufficient`, `KeyLimited`, or `OrganizationDeleting` for a change."""
        requested = self._requested
        self.access.require(requested.required_right)
        if not requested.about_agents:
            self.access.require_unlimited()
        if self.request.method != "GET" and not requested.while_deleting:
            require_kept(self.access.organization)

    def handle_exception(self, exc: Exception) -> Response:
        """Log that the role does not permit the request, also if a service found that out."""
        if isinstance(exc, RoleInsufficient):
            requested = self._requested
            right, act = requested.required_right, requested.name
            record_refusal(actor=self.actor, access=self.access, error=exc, right=right, act=act)
        response: Response = super().handle_exception(exc)
        return response

    @property
    def _requested(self) -> operation:
        requested: operation = getattr(self, (self.request.method or "").lower()).operation
        return requested

    @property
    def organization_id(self) -> str:
        return self.access.organization_id

    def own_agent(self, agent_id: str) -> Agent:
        """Return the organization's agent with this id or client id. Raises `NotFound`, and `KeyLimited` likewise."""
        with self.access.hiding_absence():
            agent = agent_for_organization(self.organization_id, agent_id)
        self.access.require_agent(agent.id)
        return agent


def signed_in_at(request: Request) -> datetime | None:
    """Return when the user entered their password for this session. None if unknown (`accounts.recent`)."""
    credential = request.auth
    if isinstance(credential, SessionCredential):
        return credential.session.created_at
    return time_of_sign_in(request._request)


def _require_json(request: Request) -> None:
    """Raise 415 for any other body, because DRF could read a form as an empty body."""
    has_body = request.META.get("CONTENT_LENGTH", "") not in ("", "0")
    if request.method in ("POST", "PATCH") and has_body and media_type(request) != "application/json":
        raise exceptions.UnsupportedMediaType(media_type(request))


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def require_unsuspended(access: Access) -> Access:
    """Return the access. Raises `OrganizationSuspended`."""
    require_organization(access.organization)
    return access


def named(request: Request, access: Access) -> Access:
    """Return the access of an API key. Raises `NotMember` if the request names another organization."""
    if request.headers.get(ORGANIZATION_HEADER, access.organization_id) != access.organization_id:
        raise NotMember("An API key acts for its own organization. X-Organization names another.")
    return access


class UnknownPath(Endpoint):
    """Every other path below /api/."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("No such resource.")
