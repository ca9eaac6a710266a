"""One line in the server's log for each request that a thread answers: Django's, and those for tokens.

The event loop answers most decisions, and logs none of them: each is an entry in the audit log, which
has its request id, and writing a line would take a noticeable part of the time of a decision (docs/operations.md).
"""

import logging
import time
from collections.abc import Callable
from typing import Any

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
        # A path that no URL matches is not shown.
        route = f"/{request.resolver_match.route}" if request.resolver_match else ""
        log_request(str(request.method), request.path, route, response.status_code, time.perf_counter() - began)
        return response


def log_request(method: str, path: str, route: str, status: int, seconds: float, **extra: Any) -> None:
    """Write the line of a request, unless programs send such requests all the time. The line shows the route."""
    kind = route_of(path)
    if not settings.LOG_REQUESTS or kind in UNLOGGED:
        return
    fields = {
        "method": method[:16],
        "kind": kind,
        "route": route,
        "status": status,
        "milliseconds": round(1000 * seconds, 1),
    }
    logger.info(
        "%(method)s %(route)s %(status)s %(milliseconds)s ms",
        {**fields, "route": route or f"({kind})"},
        extra={"fields": fields, **extra},
    )
