"""Refusals of the front, with lines in the log for those with 5xx, and answers to requests that no view could answer.

With the request's id, an operator finds what a caller reports. During an outage there would be thousands per second,
which would fill the disk and say nothing new, so only some are written.
"""

import logging
import sys
import time
from collections.abc import Mapping
from functools import lru_cache

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, parse_cookie
from django.template import loader
from django.utils import translation
from django.views import defaults

from api.problems import as_domain_error, problem_reply
from core import timeouts
from core.errors import DomainError, Unavailable
from core.http import django_response
from core.ids import choose_request_id
from core.languages import language_of_browser
from core.messages import Reply
from core.metrics import report_front_refusal
from oauth.errors import OAuthError, error_reply, from_domain
from server.front.headers import common_headers
from server.metrics import route_of

logger = logging.getLogger(__name__)

LINES_PER_SECOND = 10
SERVER_ERROR = 500


class Failures:
    """Writes up to `LINES_PER_SECOND`, and then how many it left out. Use it in one thread only."""

    def __init__(self) -> None:
        self._second = 0
        self._written = 0
        self._left_out = 0

    def report(self, path: str, status: int, request_id: str) -> None:
        """Write a line for a request that was answered with this status, if it is a server error.

        It has only the kind of path, because a request line may contain a secret.
        """
        if status < SERVER_ERROR or not self._has_room():
            return
        fields = {"kind": route_of(path), "status": status}
        logger.error("(%(kind)s) %(status)s", fields, extra={"request_id": request_id, "fields": fields})

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            if self._left_out:
                logger.error("%s more requests were answered 5xx", self._left_out)
            self._second, self._written, self._left_out = second, 0, 0
        if self._written >= LINES_PER_SECOND:
            self._left_out += 1
            return False
        self._written += 1
        return True


failures = Failures()


def refusal(error: DomainError, target: str, headers: Mapping[str, str]) -> Reply:
    """Return the reply to a request for `target` with these headers, by lower-case names, that is refused.

    A page that is temporarily unavailable is one in words, of which the front keeps one per language.
    """
    report_front_refusal(error.status)
    request_id = choose_request_id(headers.get("x-request-id", ""))
    failures.report(target, error.status, request_id)
    if not isinstance(error, Unavailable) or not target.startswith("/") or target.startswith(PROGRAMS):
        return refuse(error, target, request_id)
    cookies, accepted = parse_cookie(headers.get("cookie", "")), headers.get("accept-language", "")
    page = _page(language_of_browser(target, cookies, accepted))
    return Reply(page.status, [*page.headers, ("X-Request-Id", request_id)], page.body)


PROGRAMS = ("/api/", "/oauth/", "/.well-known/", "/metrics")
SAFE = ("GET", "HEAD", "OPTIONS")


@lru_cache(maxsize=32)
def _page(language: str, *, is_unknown: bool = False) -> Reply:
    """Return the page that says that the service is unavailable, with the headers of a page."""
    with translation.override(language):
        body = loader.render_to_string("503.html", {"is_unknown": is_unknown})
    common = [one for one in common_headers("/") if one[0].lower() not in ("content-language", "cache-control")]
    own = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Language", language),
        ("Cache-Control", "no-store"),
        ("Retry-After", str(Unavailable.retry_after)),
    ]
    return Reply(Unavailable.status, [*common, *own], body.encode())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django refuses before a view sees it, such as one with a wrong Host header.

    Programs get what the front would answer, and browsers a page.
    """
    if not request.path.startswith(PROGRAMS):
        return defaults.bad_request(request, exception)
    return django_response(refuse(as_domain_error(exception), request.path, request.request_id))  # type: ignore[attr-defined]


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a request that has failed. Django calls it while it handles the exception.

    If the database has failed, the answer is 503: for programs what the front would answer, and elsewhere a page.
    """
    error = sys.exception()
    if not isinstance(error, (OperationalError, InterfaceError)):
        return defaults.server_error(request)
    refusal = as_domain_error(error)
    if request.path.startswith(PROGRAMS):
        return django_response(refuse(refusal, request.path, request.request_id))  # type: ignore[attr-defined]
    # A page may change something in several transactions.
    is_unknown = refusal.retry_after is None or (request.method not in SAFE and timeouts.has_committed())
    accepted = request.headers.get("Accept-Language", "")
    language = language_of_browser(request.path_info, request.COOKIES, accepted)
    response = django_response(_page(language, is_unknown=is_unknown))
    if not timeouts.cause_to_log(error):
        logger.error("%s %s failed", request.method, request.path)
        response._has_been_logged = True  # type: ignore[attr-defined]  # keeps Django from logging a traceback
    return response


def refuse(error: DomainError, path: str, request_id: str) -> Reply:
    """Return an OAuth error (RFC 6749 section 5.2) below `/oauth/`, and problem details (RFC 9457) elsewhere."""
    if not path.startswith("/oauth/"):
        return problem_reply(error, request_id)
    oauth = (
        from_domain(error)
        if isinstance(error, Unavailable)
        else OAuthError("invalid_request", error.detail, error.status)
    )
    reply = error_reply(oauth)
    return Reply(reply.status, [*reply.headers, ("X-Request-Id", request_id)], reply.body)
