"""Errors that no view answers: those of the front, and those of Django's middleware."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from api.problems import as_domain_error, problem_reply
from core.errors import DomainError, Unavailable
from core.http import django_response
from core.messages import Reply
from oauth.errors import UNAVAILABLE, OAuthError, error_reply

PROGRAMS = ("/api/", "/oauth/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django refuses before a view sees it, such as one with a wrong Host header.

    Below `/api/` and `/oauth/` it gets what the front would answer, and elsewhere a page.
    """
    if not request.path.startswith(PROGRAMS):
        return defaults.bad_request(request, exception)
    return django_response(refuse(as_domain_error(exception), request.path, request.request_id))  # type: ignore[attr-defined]


def refuse(error: DomainError, path: str, request_id: str) -> Reply:
    """Return an OAuth error (RFC 6749 section 5.2) below `/oauth/`, and problem details (RFC 9457) elsewhere."""
    if not path.startswith("/oauth/"):
        return problem_reply(error, request_id)
    oauth = UNAVAILABLE if isinstance(error, Unavailable) else OAuthError("invalid_request", error.detail, error.status)
    reply = error_reply(oauth)
    return Reply(reply.status, [*reply.headers, ("X-Request-Id", request_id)], reply.body)
