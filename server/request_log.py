"""One line in the server's log for each request that Django answers.

The event loop answers most decisions without Django, and logs none of them: each is an entry in the audit log, which
has its request id, and writing a line would take a noticeable part of the time of a decision (docs/operations.md).
"""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from server.metrics import route_of

logger = logging.getLogger("agentgate.requests")

# Programs request these all the time.
UNLOGGED = ("health", "metrics", "static")


class RequestLogMiddleware:
    """Log the method, the route, the status and the time, but no address, path or query: they can name people."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        kind = route_of(request.path)
        if settings.LOG_REQUESTS and kind not in UNLOGGED:
            _log(request, kind, response.status_code, 1000 * (time.perf_counter() - began))
        return response


def _log(request: HttpRequest, kind: str, status: int, milliseconds: float) -> None:
    # A path that no URL matches is not shown.
    route = f"/{request.resolver_match.route}" if request.resolver_match else ""
    fields = {
        "method": str(request.method)[:16],
        "kind": kind,
        "route": route,
        "status": status,
        "milliseconds": round(milliseconds, 1),
    }
    logger.info(
        "%(method)s %(route)s %(status)s %(milliseconds)s ms",
        {**fields, "route": route or f"({kind})"},
        extra={"fields": fields},
    )
