"""Errors of the OAuth endpoints (RFC 6749 sections 4.1.2.1 and 5.2)."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import wraps

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

from agents.errors import InvalidClient
from consent.errors import InvalidAuthorizationDetails
from core.errors import DomainError, NotAuthenticated, OutcomeUnknown, Unavailable
from core.http import BASIC_CHALLENGE
from core.messages import Reply
from core.timeouts import cause_to_log, may_have_committed
from oauth.responses import UNCACHED, View, uncached
from resources.errors import InvalidScope

logger = logging.getLogger(__name__)

# OAuth error codes for the domain's codes, where they differ.
CODES = {
    "validation_failed": "invalid_request",
    "forbidden": "unauthorized_client",
    "agent_suspended": "unauthorized_client",
    "organization_suspended": "unauthorized_client",
    "organization_stopped": "unauthorized_client",
    "service_suspended": "invalid_target",
    "throttled": "temporarily_unavailable",
    "not_authenticated": "invalid_client",
    "unavailable": "temporarily_unavailable",
    "everything_stopped": "temporarily_unavailable",
}


@dataclass(eq=False)
class OAuthError(Exception):
    """An error with its registered code. `description` is for the client's developer and contains no secrets."""

    code: str
    description: str = ""
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        description = {"error_description": _printable(self.description)} if self.description else {}
        return {"error": self.code, **description}


def from_domain(error: DomainError) -> OAuthError:
    """Return the OAuth error for a domain error."""
    code = CODES.get(error.code, error.code)
    status = error.status if error.status in (401, 429, 503) else 400
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return OAuthError(code, _describe(error), status, headers)


def _describe(error: DomainError) -> str:
    """Name the invalid fields, but not those of the JSON API: the errors of a scope or a detail name the scope."""
    if isinstance(error, (InvalidScope, InvalidAuthorizationDetails)):
        return " ".join(one.message for one in error.errors) or error.detail
    return "; ".join(f"{one.field}: {one.message}" for one in error.errors) or error.detail


UNAVAILABLE = from_domain(Unavailable("Try again in a moment."))
SERVER_ERROR = OAuthError("server_error", "Try again. If it happens again, report the X-Request-Id.", 500)


def handle_errors(view: View) -> View:
    """Turn errors into uncached JSON (RFC 6749 section 5.2). Add a challenge if HTTP Basic failed."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except Exception as error:
            if not isinstance(error, (OAuthError, DomainError)):
                logger.error("%s %s failed", request.method, request.path, exc_info=cause_to_log(error))
            return error_response(as_oauth_error(error, is_basic="Authorization" in request.headers))

    return wrapped


def as_oauth_error(error: BaseException, *, is_basic: bool) -> OAuthError:
    """Return the error that the client may see for `error`. With `is_basic`, it has used HTTP Basic."""
    if isinstance(error, OAuthError):
        return error
    if isinstance(error, (OperationalError, InterfaceError)):
        return from_domain(OutcomeUnknown()) if may_have_committed() else UNAVAILABLE
    if not isinstance(error, DomainError):
        return SERVER_ERROR
    refusal = from_domain(error)
    if is_basic and isinstance(error, (InvalidClient, NotAuthenticated)):
        return OAuthError(refusal.code, refusal.description, 401, {"WWW-Authenticate": BASIC_CHALLENGE})
    return refusal


def error_response(error: OAuthError) -> HttpResponse:
    response = uncached(JsonResponse(error.parameters, status=error.status))
    for name, value in error.headers.items():
        response[name] = value
    return response


def error_reply(error: OAuthError) -> Reply:
    """Return the error as a reply, for requests that Django does not see."""
    headers = [("Content-Type", "application/json"), *UNCACHED.items(), *error.headers.items()]
    return Reply(error.status, headers, json.dumps(error.parameters).encode())


def _printable(text: str) -> str:
    """Return `text` with only the characters that a description may contain (RFC 6749 appendix A.8)."""
    return "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "'" for letter in text)
