"""Refusals of the front, with lines in the log for those with 5xx, and answers to requests that no view could answer.

With the request's id, an operator finds what a caller reports. During an outage there would be thousands per second,
which would fill the disk and say nothing new, so only some are written.
"""

import logging
import sys
import time

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views import defaults

from api.problems import as_domain_error, problem_reply
from core import timeouts
from core.errors import DomainError, Unavailable
from core.http import django_response
from core.ids import choose_request_id
from core.messages import Reply
from core.metrics import report_front_refusal
from oauth.errors import OAuthError, error_reply, from_domain
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


def refusal(error: DomainError, target: str, offered_id: str) -> Reply:
    """Return the reply to a request for `target` that is refused. `offered_id` is its X-Request-Id."""
    report_front_refusal(error.status)
    request_id = choose_request_id(offered_id)
    failures.report(target, error.status, request_id)
    return refuse(error, target, request_id)


PROGRAMS = ("/api/", "/oauth/")
SAFE = ("GET", "HEAD", "OPTIONS")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django refuses before a view sees it, such as one with a wrong Host header.

    Below `/api/` and `/oauth/` it gets what the front would answer, and elsewhere a page.
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
    page = HttpResponse(loader.render_to_string("503.html", {"is_unknown": is_unknown}), status=refusal.status)
    page["Retry-After"] = str(Unavailable.retry_after)
    page["Cache-Control"] = "no-store"
    return page


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
