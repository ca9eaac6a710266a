"""Problem details for every error (RFC 9457). The cause of an internal error is logged, never sent."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext_noop
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from api.parsers import MalformedRequest, PayloadTooLarge
from core.errors import DomainError, Forbidden, NotAuthenticated, NotFound, OutcomeUnknown, Unavailable
from core.messages import Reply
from core.text import escape_invisible
from core.timeouts import cause_to_log, may_have_committed

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DEFAULT_CHALLENGE = 'Bearer realm="agentgate"'


class MethodNotAllowed(DomainError):
    code = "method_not_allowed"
    status = 405
    title = gettext_noop("Method not allowed")
    remedy = "Use one of the methods in the Allow header."


class LengthRequired(DomainError):
    code = "length_required"
    status = 411
    title = gettext_noop("A request body must have a Content-Length")
    remedy = "Send Content-Length. Chunked bodies are not accepted."


class RequestTimeout(DomainError):
    code = "request_timeout"
    status = 408
    title = gettext_noop("The request did not arrive in time")
    remedy = "Send the headers within 10 seconds, and the body within the next 10."


class HeadTooLarge(DomainError):
    code = "head_too_large"
    status = 431
    title = gettext_noop("The request line or the headers are too large")
    remedy = "Send at most 100 headers, 32 KiB in total, with a request line of at most 16 KiB."


class UnsupportedMediaType(DomainError):
    code = "unsupported_media_type"
    status = 415
    title = gettext_noop("A request body must be application/json")
    remedy = "Send Content-Type: application/json."


class InternalError(DomainError):
    code = "internal_error"
    status = 500
    title = gettext_noop("Internal error")
    remedy = "Try again. If it happens again, report the requestId."


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Return the problem details for any exception."""
    set_rollback()
    request, view = context["request"], context["view"]
    error = as_domain_error(exc)
    if error.status >= 500:
        # What the code raises on purpose needs no traceback.
        cause = None if error is exc else cause_to_log(exc)
        logger.error("%s %s failed", request.method, request.path, exc_info=cause)
    response = Response(describe(error, request), status=error.status, content_type=MEDIA_TYPE)
    for name, value in _headers(error, getattr(view, "challenge", DEFAULT_CHALLENGE)):
        response[name] = value
    return response


def describe(error: DomainError, request: HttpRequest) -> dict[str, Any]:
    return _describe(error, getattr(request, "request_id", ""))


def _describe(error: DomainError, request_id: str) -> dict[str, Any]:
    """Return the problem details. Invisible characters are escaped, because messages may echo the request."""
    problem: dict[str, Any] = {
        "type": type_uri(error.code),
        "title": error.title,
        "status": error.status,
        "detail": escape_invisible(error.detail),
        "code": error.code,
        "requestId": request_id,
    }
    if error.errors:
        problem["errors"] = [
            {"field": escape_invisible(each.field), "message": escape_invisible(each.message)} for each in error.errors
        ]
    return problem


def render_problem(error: DomainError, request_id: str, challenge: str = "") -> Reply:
    """Return the problem details as a reply, for requests that Django does not see. A 401 needs a `challenge`."""
    headers = [("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store"), *_headers(error, challenge)]
    return Reply(error.status, headers, JSONRenderer().render(_describe(error, request_id)))


def problem_reply(error: DomainError, request_id: str) -> Reply:
    """Return the problem details with the request's id, for requests that the front refuses."""
    reply = render_problem(error, request_id)
    return Reply(reply.status, [*reply.headers, ("X-Request-Id", request_id)], reply.body)


def type_uri(code: str) -> str:
    return f"{settings.API_URL}/api/docs/errors#{code}"


def as_domain_error(exc: BaseException) -> DomainError:
    """Return the error that the caller may see for `exc`."""
    if isinstance(exc, DomainError):
        return exc
    for kind, translate in _TRANSLATIONS:
        if isinstance(exc, kind):
            return translate(exc)
    return InternalError(InternalError.remedy)


def _translate_database(exc: Exception) -> DomainError:
    """Only a lost answer to a COMMIT leaves open whether something was written."""
    return OutcomeUnknown() if may_have_committed() else Unavailable("Try again in a moment.")


_TRANSLATIONS: tuple[tuple[Any, Any], ...] = (
    (OperationalError, _translate_database),
    (InterfaceError, _translate_database),
    (exceptions.MethodNotAllowed, lambda exc: MethodNotAllowed("Use one of the methods in the Allow header.")),
    (exceptions.UnsupportedMediaType, lambda exc: UnsupportedMediaType("Send the body as application/json.")),
    # Another request deleted the object before this one locked it.
    (ObjectDoesNotExist, lambda exc: NotFound("No such resource.")),
    ((exceptions.NotFound, Http404), lambda exc: NotFound("No such resource.")),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), lambda exc: NotAuthenticated()),
    ((exceptions.PermissionDenied, PermissionDenied), lambda exc: Forbidden()),
    (RequestDataTooBig, lambda exc: PayloadTooLarge()),
    (UnreadablePostError, lambda exc: MalformedRequest("The body ended before its declared length.")),
    (DisallowedHost, lambda exc: MalformedRequest("The Host header is not a host name of this server.")),
    ((exceptions.ParseError, SuspiciousOperation, BadRequest, MultiPartParserError), lambda exc: MalformedRequest()),
)


def _headers(error: DomainError, challenge: str) -> Iterator[tuple[str, str]]:
    if error.retry_after is not None:
        yield "Retry-After", str(error.retry_after)
    if error.status == 401 and challenge:
        yield "WWW-Authenticate", challenge
