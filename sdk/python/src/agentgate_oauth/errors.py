"""The exceptions of the SDK. An error response of the API is an `ApiError`; `code` determines its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._causes import NO_RESPONSE, Cause

if TYPE_CHECKING:
    from .models import Decision


class AgentGateError(Exception):
    """Base class of all exceptions of this package."""


class ConnectionFailedError(AgentGateError):
    """AgentGate did not respond at `url`. `maybe_received`: it may still have acted on the request.

    `kind` is the class of httpx's error. `cause` is certificate_not_trusted, certificate_not_valid,
    tls_failed, host_not_found, connection_refused, timeout, proxy_failed, response_refused (too large, or
    compressed) or no_response.
    """

    def __init__(self, kind: str, maybe_received: bool, url: str, cause: Cause = NO_RESPONSE) -> None:
        super().__init__(kind, maybe_received, url, cause)
        self.kind = kind
        self.maybe_received = maybe_received
        self.url = url
        self.cause = cause.code
        self._words = cause.words

    def __str__(self) -> str:
        return f"AgentGate did not respond at {self.url}: {self._words}"


class SessionEndedError(AgentGateError):
    """The session has no more tokens: it was revoked, expired or replayed, or the agent is suspended.

    Ask the user for consent again, unless the agent is only suspended. What another agent handed over ends
    with the delegation, too: ask that agent to hand the work on again.
    """


class UnexpectedDelegationError(AgentGateError):
    """The work was for another user, or from another agent, than expected. Its tokens were revoked.

    `from_agent` handed it over, and `user_id` is the user.
    """

    def __init__(self, from_agent: str | None, user_id: str | None) -> None:
        super().__init__(from_agent, user_id)
        self.from_agent = from_agent
        self.user_id = user_id

    def __str__(self) -> str:
        return (
            f"the work is from {self.from_agent} for {self.user_id}, which is not what was expected: "
            "its tokens were revoked"
        )


class AuthorizationError(AgentGateError):
    """The redirect had no authorization code, or is not from this AgentGate."""


class ConsentDeniedError(AuthorizationError):
    """The user denied access."""


class AuthorizationTimeoutError(AuthorizationError):
    """The user did not decide in time."""


class ReservationDeniedError(AgentGateError):
    """AgentGate did not allow the request, so nothing is reserved. `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision

    def __str__(self) -> str:
        is_denied = self.decision.approval_status == "denied"
        link = f": {self.decision.approval_url}" if self.decision.approval_url else ""
        link = ": the user has denied it" if is_denied else link
        return f"AgentGate denied the request ({self.decision.reason}){link}"


class StoreError(AgentGateError):
    """The session store failed, or another process held a session's lock for too long."""


class MissingExtraError(AgentGateError):
    """A feature was used without its optional dependency."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra = extra

    def __str__(self) -> str:
        return (
            f"agentgate-oauth[{self.extra}] is not installed; "
            f'in a checkout of AgentGate: pip install "./sdk/python[{self.extra}]"'
        )


@dataclass(frozen=True)
class FieldProblem:
    """A problem with one field of a request."""

    field: str
    message: str


class ApiError(AgentGateError):
    """An error response of the API: RFC 9457 problem details, or an OAuth error of the `/oauth` endpoints."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str = "",
        request_id: str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, status, detail)
        self.code = code
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        fields = "; ".join(f"{problem.field}: {problem.message}" for problem in self.errors)
        parts = [f"{self.status} {self.code}", self.detail, fields]
        text = ": ".join(part for part in parts if part)
        return f"{text} (request {self.request_id})" if self.request_id else text


class InvalidRequestError(ApiError):
    """400: the request is malformed or a value is not valid; `errors` names the fields."""


class InvalidGrantError(InvalidRequestError):
    """The code or refresh token is wrong, expired, used, or another agent's."""


class InvalidScopeError(InvalidRequestError):
    """A scope is unknown, or not in the agent's allowed scopes."""


class InvalidRedirectUriError(InvalidRequestError):
    """The redirect URI is not registered for the agent."""


class OrganizationRequiredError(InvalidRequestError):
    """The user is a member of several organizations: pass `organization` to `AgentGateAdmin`."""


class AuthenticationError(ApiError):
    """401: no credential, or a wrong one."""


class InvalidClientError(AuthenticationError):
    """The client id or client secret is wrong (status 400 if only the id was checked)."""


class PermissionDeniedError(ApiError):
    """403: the credential is valid but not allowed to do this."""


class DelegationNotAllowedError(PermissionDeniedError):
    """The user does not let this agent hand work to that one, or there is no such agent."""


class ReauthenticationRequiredError(PermissionDeniedError):
    """The user must sign in again before granting a critical scope."""


class RoleInsufficientError(PermissionDeniedError):
    """The role of the member or the API key does not permit this. `detail` names the roles that do."""


class NotMemberError(PermissionDeniedError):
    """The user is not a member of the organization, or it does not exist."""


class KeyLimitedError(PermissionDeniedError):
    """The API key reaches only some agents, and this concerns something else."""


class NotFoundError(ApiError):
    """404: the object does not exist or belongs to another organization. The responses are the same."""


class ConflictError(ApiError):
    """409: the resource's current state does not allow this."""


class LastOwnerError(ConflictError):
    """The organization would have no active owner left. Make another member an owner first."""


class EmailTakenError(ConflictError):
    """The email address is already registered."""


class ConsentAlreadyDecidedError(ConflictError):
    """The consent was already approved or denied."""


class IdempotencyKeyReusedError(ConflictError):
    """The same `Idempotency-Key` was sent with another body."""


class GoneError(ApiError):
    """410: the resource has expired."""


class ConsentExpiredError(GoneError):
    """The consent request expired before it was decided."""


class RateLimitedError(ApiError):
    """429: too many requests; `retry_after` is the number of seconds to wait."""


class ServerError(ApiError):
    """5xx: an error in AgentGate."""


class UnavailableError(ServerError):
    """503: AgentGate cannot decide at the moment.

    It did not act on the request, unless `code` is "outcome_unknown": then the response came too late, and
    the request may have been carried out, for example counted by a limit.
    """


class UnexpectedResponseError(UnavailableError):
    """The response is not from the API, for example a proxy's error page, or contradicts itself."""

    def __init__(self, problem: str) -> None:
        # 502, because AgentGate's own status was often 200.
        super().__init__("unexpected_response", 502, problem)

    def __str__(self) -> str:
        return self.detail


_BY_CODE: dict[str, type[ApiError]] = {
    "invalid_grant": InvalidGrantError,
    "invalid_client": InvalidClientError,
    "invalid_scope": InvalidScopeError,
    "invalid_redirect_uri": InvalidRedirectUriError,
    "delegation_not_allowed": DelegationNotAllowedError,
    "reauthentication_required": ReauthenticationRequiredError,
    "organization_required": OrganizationRequiredError,
    "role_insufficient": RoleInsufficientError,
    "not_member": NotMemberError,
    "key_limited": KeyLimitedError,
    "last_owner": LastOwnerError,
    "email_taken": EmailTakenError,
    "consent_already_decided": ConsentAlreadyDecidedError,
    "idempotency_key_reused": IdempotencyKeyReusedError,
    "consent_expired": ConsentExpiredError,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    429: RateLimitedError,
    503: UnavailableError,
}


def error_class(code: str, status: int) -> type[ApiError]:
    """Return the class for a problem: by its code, else by its status, else `ApiError`."""
    fallback = ServerError if status >= 500 else ApiError
    return _BY_CODE.get(code) or _BY_STATUS.get(status, fallback)
