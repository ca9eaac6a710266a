"""Forward authorization: a proxy asks before it passes a request on (nginx, Caddy, HAProxy, Traefik, Envoy).

It answers 200 or refuses. Anything unforeseen is no 200, and so the proxy passes nothing on.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.clients import basic_credential
from api.endpoint import Endpoint
from api.operations import operation
from api.problems import MEDIA_TYPE, describe
from api.strict import Line, StrictSerializer
from api.v1.schemas.tokens import MAX_ACTION
from core.actor import visitor
from core.errors import DomainError, Forbidden, Invalid, NotAuthenticated, Throttled
from decisions.requests import Decision, Reason, VerifyRequest
from decisions.services import decide
from decisions.throttles import throttle_anonymous
from resources.custom_scopes import SCOPE_ID
from resources.errors import ServiceSuspended
from resources.models import ResourceServer
from resources.services import authenticate_resource_server

# The b64token of RFC 6750 section 2.1.
BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*) *")
SCOPES_HEADER = "X-Required-Scopes"
CREDENTIAL_HEADER = "X-Resource-Server"
MAX_SCOPES = 100
MAX_QUERY_VALUE = 2000


class InvalidToken(NotAuthenticated):
    """RFC 6750 section 3.1: the token itself is at fault."""

    code = "invalid_token"
    title = "The token is not valid"


class InsufficientScope(Forbidden):
    """RFC 6750 section 3.1."""

    code = "insufficient_scope"
    title = "The token lacks a required scope"


class PolicyDenied(Forbidden):
    """Another token would not help, so there is no challenge."""

    code = "policy_denied"
    title = "A policy denies this request"


class ForwardAuthQuery(StrictSerializer):
    """What the proxy's configuration says about the request that it holds."""

    scopes = serializers.CharField(required=False, help_text="Separated by spaces; X-Required-Scopes adds more.")
    action = serializers.CharField(required=False, max_length=MAX_ACTION)
    resource = serializers.CharField(required=False, max_length=MAX_QUERY_VALUE)
    resource_metadata = serializers.CharField(
        required=False, max_length=MAX_QUERY_VALUE, help_text="The URL that challenges name (RFC 9728)."
    )


def _described(name: str) -> Any:
    """Return the decorator that puts a method into the OpenAPI document; all do the same."""
    return operation(
        name,
        "Decide about the request that a proxy holds",
        description="For nginx `auth_request`, Caddy, HAProxy, Traefik and Envoy. 200 names who acts in "
        "`X-AgentGate-User`, `-Agent`, `-Consent`, `-Decision` and `-Scopes`; a refusal bears `WWW-Authenticate` "
        "(RFC 6750).",
        query=ForwardAuthQuery,
        errors=(InvalidToken, InsufficientScope, PolicyDenied, ServiceSuspended, Throttled),
    )


def _as_get(name: str) -> Any:
    def handle(self: "ForwardAuth", request: Request) -> Response:
        return self.get(request)

    return _described(name)(handle)


class ForwardAuth(Endpoint):
    """Reads the bearer of the request that the proxy holds; what is required the proxy's own configuration says.

    Danger: with `reads_query` the query is the proxy's. Where the proxy appends the caller's own path, it is not.
    """

    reads_query = True

    @_described("forwardAuth")
    def get(self, request: Request) -> Response:
        scopes = self._required_scopes()
        server = self._asking()
        token = self._bearer()
        if token is None:
            return self._refuse(NotAuthenticated("Send a bearer token."), self._challenge(scopes))
        (decision,) = decide([self._question(token, scopes, server)])
        if decision.allowed:
            return Response(status=200, headers=dict(_identity(decision)))
        return self._deny(decision, scopes)

    # Envoy asks with the method of the request that it holds.
    post, put, patch, delete = (_as_get(f"forwardAuth{method}") for method in ("Post", "Put", "Patch", "Delete"))
    head = options = _as_get("forwardAuthHeaders")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look at nothing but headers: the body, if any, is not ours; and no method is answered unasked."""
        self.actor = visitor(request._request)

    def _required_scopes(self) -> list[str]:
        """Return the union of what header and query require. Raises `Invalid` for none: nothing must mean "no"."""
        given = f"{self.request.headers.get(SCOPES_HEADER, '')} {self._query('scopes')}"
        scopes = list(dict.fromkeys(given.replace(",", " ").split()))
        if not 1 <= len(scopes) <= MAX_SCOPES:
            raise Invalid.field("scopes", f"must name 1 to {MAX_SCOPES} scopes, in the query or in {SCOPES_HEADER}")
        if not all(map(SCOPE_ID.fullmatch, scopes)):
            raise Invalid.field("scopes", "must all be scope ids, such as email:read")
        return scopes

    def _asking(self) -> ResourceServer | None:
        """Return the resource server that the proxy stands for, None for none.

        Raises `Throttled` for too many anonymous questions, and `Forbidden` for a wrong credential: a 401 would send
        the caller for another token, which cannot help.
        """
        header = self.request.headers.get(CREDENTIAL_HEADER)
        if header is None:
            if settings.VERIFY_REQUIRES_CREDENTIAL:
                raise Forbidden(f"Authenticate as a resource server: send {CREDENTIAL_HEADER}.")
            throttle_anonymous(actor=self.actor)
            return None
        try:
            server_id, secret = basic_credential(header)
            return authenticate_resource_server(actor=self.actor, server_id=server_id, secret=secret)
        except NotAuthenticated as error:
            raise Forbidden(error.detail) from error

    def _bearer(self) -> str | None:
        match = BEARER.fullmatch(self.request.headers.get("Authorization", ""))
        return match[1] if match else None

    def _question(self, token: str, scopes: list[str], server: ResourceServer | None) -> VerifyRequest:
        context = {"ip": self.actor.ip} if self.actor.ip else {}
        return VerifyRequest(
            token=token,
            required_scopes=scopes,
            actor=self.actor,
            resource_server=server,
            action=self._line("action", MAX_ACTION),
            resource=self._line("resource", MAX_QUERY_VALUE),
            context=context,
            is_forwarded=True,
        )

    def _deny(self, decision: Decision, scopes: list[str]) -> Response:
        if decision.reason is Reason.INSUFFICIENT_SCOPE:
            response = self._refuse(InsufficientScope(), self._challenge(scopes, "insufficient_scope"))
        elif decision.reason is Reason.POLICY_DENIED:
            response = self._refuse(PolicyDenied())
        elif decision.reason is Reason.SERVICE_SUSPENDED:
            # Another token would not help either.
            response = self._refuse(ServiceSuspended())
        else:
            response = self._refuse(InvalidToken(), self._challenge(scopes, "invalid_token"))
        response["X-AgentGate-Reason"] = decision.reason or ""
        if decision.audit_id:
            response["X-AgentGate-Decision"] = decision.audit_id
        if decision.retry_after_seconds:
            response["Retry-After"] = str(decision.retry_after_seconds)
        return response

    def _challenge(self, scopes: list[str], error: str = "") -> str:
        """Return the challenge with everything that a client needs to come back (RFC 6750 section 3, RFC 9728)."""
        parameters = {"error": error, "scope": " ".join(scopes), "resource_metadata": self._query("resource_metadata")}
        return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in parameters.items() if value)

    def _refuse(self, error: DomainError, challenge: str = "") -> Response:
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        problem = describe(error, self.request)
        return Response(problem, status=error.status, headers=headers, content_type=MEDIA_TYPE)

    def _line(self, name: str, most: int) -> str | None:
        """Return a text of the query as verify takes it: policies judge what the log shows."""
        value = self._query(name, most)
        try:
            return Line(max_length=most).run_validation(value) if value else None
        except serializers.ValidationError as error:
            raise Invalid.field(name, str(error.args[0][0])) from error

    def _query(self, name: str, most: int = MAX_QUERY_VALUE) -> str:
        values = self.request.query_params.getlist(name) if self.reads_query else []
        if len(values) > 1 or any(len(value) > most or "\0" in value for value in values):
            raise Invalid.field(name, f"must appear only once, with at most {most} characters")
        return values[0] if values else ""


class ForwardAuthBelow(ForwardAuth):
    """The same below any path: Envoy appends the caller's path and query to the prefix it is given."""

    reads_query = False

    def get(self, request: Request) -> Response:
        return super().get(request)

    # Undescribed: the document knows the one path.
    post = put = patch = delete = get


def _identity(decision: Decision) -> Iterator[tuple[str, str]]:
    """Yield the headers that name who acts for whom, for the proxy to hand on."""
    headers = {
        "User": decision.user_id,
        "Agent": decision.agent_id,
        "Consent": decision.consent_id,
        "Decision": decision.audit_id,
        "Scopes": " ".join(decision.granted_scopes),
    }
    for name, value in headers.items():
        yield f"X-AgentGate-{name}", value or ""


def _quotable(text: str) -> str:
    """Return `text` as it may stand in a quoted string (RFC 9110 section 5.6.4), without what could end it."""
    return "".join(letter for letter in text if " " <= letter <= "~" and letter not in '"\\')
