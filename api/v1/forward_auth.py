"""Forward authorization: a proxy (nginx, Caddy, HAProxy, Traefik, Envoy) asks before it passes a request on.

The response is 200 only if the request is allowed. An unexpected error has another status, so the proxy denies too.
"""

import re
from collections.abc import Iterator

from django.conf import settings
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from api.clients import resource_server_of
from api.endpoint import Endpoint
from api.operations import operation
from api.problems import MEDIA_TYPE, describe
from api.v1.schemas.base import known_fields
from api.v1.schemas.forward_auth import ForwardAuthQuery
from core.errors import DomainError, Forbidden, Invalid, NotAuthenticated, Throttled
from core.http import visitor
from decisions.requests import Decision, Reason, VerifyRequest
from decisions.services import decide
from decisions.throttles import throttle_anonymous
from resources.catalogue import SCOPE_ID
from resources.errors import ServiceSuspended
from resources.models import ResourceServer

# The b64token of RFC 6750 section 2.1.
BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*) *")
SCOPES_HEADER = "X-Required-Scopes"
CREDENTIAL_HEADER = "X-Resource-Server"
MAX_SCOPES = 100


class InvalidToken(NotAuthenticated):
    """RFC 6750 section 3.1: the token is expired, revoked, malformed or otherwise not valid."""

    code = "invalid_token"
    title = "The token is not valid"
    remedy = "Refresh the access token, or ask the user for consent again."


class InsufficientScope(Forbidden):
    """RFC 6750 section 3.1."""

    code = "insufficient_scope"
    title = "The token lacks a required scope"
    remedy = "Ask the user for consent to the scopes in the challenge."


class PolicyDenied(Forbidden):
    """Another token would not help, so the response has no challenge."""

    code = "policy_denied"
    title = "A policy denies this request"
    remedy = "Wait for Retry-After if it is sent. Otherwise change the request, or the policy that denies it."


# The error for a denial reason. All other reasons mean that the token is not valid.
REFUSALS: dict[Reason, type[DomainError]] = {
    Reason.INSUFFICIENT_SCOPE: InsufficientScope,
    Reason.POLICY_DENIED: PolicyDenied,
    Reason.SERVICE_SUSPENDED: ServiceSuspended,
}


class ForwardAuth(Endpoint):
    """Decide by the bearer token of the request that the proxy holds. The proxy's configuration sets what is required.

    Danger: set `reads_query` only where the proxy writes the query. It must be off where the proxy appends the caller's
    own path and query.
    """

    reads_query = True

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Read only headers: a body belongs to the caller's request. Every method is decided."""
        self.actor = visitor(request._request)

    def query_parameters(self) -> QueryDict:
        """Return the proxy's parameters, leaving out the caller's: unknown ones, and all without `reads_query`.

        An empty parameter counts as omitted, because proxies substitute variables that can be empty.
        """
        own = QueryDict(mutable=True)
        for name, values in self.request.query_params.lists() if self.reads_query else ():
            if name in known_fields(ForwardAuthQuery) and values != [""]:
                own.setlist(name, values)
        return own

    @operation(
        "forwardAuth",
        "Authorize a request for a proxy",
        description="For nginx `auth_request`, Caddy, HAProxy, Traefik and Envoy. A 200 has the headers "
        "`X-AgentGate-User`, `-Agent`, `-Consent`, `-Decision` and `-Scopes`. An error that another token can solve "
        "has `WWW-Authenticate` (RFC 6750). A temporary denial, such as a rate limit, is a 403 with `Retry-After`.",
        errors=(InvalidToken, InsufficientScope, PolicyDenied, ServiceSuspended, Throttled),
    )
    def get(self, query: ForwardAuthQuery) -> Response:
        scopes = self._required_scopes(query)
        server = self._resource_server()
        challenge = {"scope": " ".join(scopes), "resource_metadata": query.resource_metadata or ""}
        bearer = BEARER.fullmatch(self.request.headers.get("Authorization", ""))
        if bearer is None:
            return self._refuse(NotAuthenticated("Send a bearer token."), challenge)
        (decision,) = decide([self._question(bearer[1], scopes, query, server)])
        if decision.allowed:
            return Response(status=200, headers=dict(identity_headers(decision)))
        return self._deny(decision, challenge)

    # Envoy uses the method of the request that it holds.
    post = put = patch = delete = head = options = get

    def _required_scopes(self, query: ForwardAuthQuery) -> list[str]:
        """Return the scopes required by the header or the query. Raises `Invalid` for none, so that no scopes deny."""
        given = f"{self.request.headers.get(SCOPES_HEADER, '')} {query.scopes or ''}"
        scopes = list(dict.fromkeys(given.replace(",", " ").split()))
        if not 1 <= len(scopes) <= MAX_SCOPES:
            raise Invalid.field("scopes", f"Send 1 to {MAX_SCOPES} scopes, in the query or in {SCOPES_HEADER}.")
        if not all(map(SCOPE_ID.fullmatch, scopes)):
            raise Invalid.field("scopes", "Must all be scope ids, such as email:read.")
        return scopes

    def _resource_server(self) -> ResourceServer | None:
        """Return the resource server of the proxy, or None if the proxy sends no credential.

        Raises `Throttled` for too many anonymous requests, and `Forbidden` for a wrong credential: a 401 would make the
        caller get another token, which cannot help.
        """
        if CREDENTIAL_HEADER not in self.request.headers:
            if settings.VERIFY_REQUIRES_CREDENTIAL:
                raise Forbidden(f"Authenticate as a resource server: send {CREDENTIAL_HEADER}.")
            throttle_anonymous(actor=self.actor)
            return None
        try:
            return resource_server_of(self.request, self.actor, CREDENTIAL_HEADER)
        except NotAuthenticated as error:
            raise Forbidden(error.detail) from error

    def _question(
        self, token: str, scopes: list[str], query: ForwardAuthQuery, server: ResourceServer | None
    ) -> VerifyRequest:
        return VerifyRequest(
            token=token,
            required_scopes=scopes,
            actor=self.actor,
            resource_server=server,
            action=query.action,
            resource=query.resource,
            context={"ip": self.actor.ip} if self.actor.ip else {},
            is_forwarded=True,
        )

    def _deny(self, decision: Decision, challenge: dict[str, str]) -> Response:
        error = REFUSALS.get(decision.reason or Reason.INVALID_TOKEN, InvalidToken)()
        can_another_token_help = isinstance(error, (InvalidToken, InsufficientScope))
        response = self._refuse(error, {"error": error.code, **challenge} if can_another_token_help else {})
        response["X-AgentGate-Reason"] = decision.reason or ""
        if decision.audit_id:
            response["X-AgentGate-Decision"] = decision.audit_id
        if decision.retry_after_seconds:
            response["Retry-After"] = str(decision.retry_after_seconds)
        return response

    def _refuse(self, error: DomainError, challenge: dict[str, str]) -> Response:
        """Return the error with a challenge that says what the client needs (RFC 6750 section 3, RFC 9728).

        Pass an empty `challenge` if another token would not help.
        """
        parameters = ", ".join(f'{name}="{_quotable(value)}"' for name, value in challenge.items() if value)
        headers = {"WWW-Authenticate": f"Bearer {parameters}"} if challenge else {}
        problem = describe(error, self.request)
        return Response(problem, status=error.status, headers=headers, content_type=MEDIA_TYPE)


def identity_headers(decision: Decision) -> Iterator[tuple[str, str]]:
    """Yield headers that say which agent acts for which user, for the proxy to pass on."""
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
    """Return `text` with only the characters that a quoted string can contain unescaped (RFC 9110 section 5.6.4)."""
    return "".join(letter for letter in text if " " <= letter <= "~" and letter not in '"\\')
