"""`GET /metrics` for Prometheus, with the numbers of all processes added up, and the times of Django's responses."""

import os
import re
import time
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from core.metrics import report_http
from core.net import parse_address
from core.uris import LOOPBACK_NAMES
from server.metrics_folder import VARIABLE
from server.state_metrics import STATE

# The first prefix that matches counts.
ROUTES = {
    "/api/v1/health": "health",
    "/api/v1/tokens/verify": "decision",
    "/api/v1/forward-auth": "decision",
    "/oauth/introspect": "decision",
    "/api/v1/tokens/": "token",
    "/oauth/token": "token",
    "/api/": "api",
    "/oauth/": "oauth",
    "/.well-known/": "oauth",
    "/admin/": "admin",
    "/static/": "static",
    "/metrics": "metrics",
}
OTHER_ROUTE = "page"
LIVE_FILE = re.compile(r"gauge_live[a-z]+_([0-9]+)\.db")
NO_TOKEN = "Without METRICS_TOKEN, only direct requests from this host may read the metrics.\n"


class MetricsMiddleware:
    """Report how long Django takes for each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        report_http(route_of(request.path), response.status_code, time.perf_counter() - began)
        return response


def route_of(path: str) -> str:
    """Return the kind of path, one of a few words."""
    return next((route for prefix, route in ROUTES.items() if path.startswith(prefix)), OTHER_ROUTE)


def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics of all processes to a caller with `METRICS_TOKEN` or, if that is unset, on this host."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return _refusal(request) or HttpResponse(
        _collect(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if not settings.METRICS_TOKEN:
        return None if _is_local(request) else HttpResponse(NO_TOKEN, status=403, content_type="text/plain")
    sent = request.headers.get("Authorization", "").encode()
    if compare_digest(sent, f"Bearer {settings.METRICS_TOKEN}".encode()):
        return None
    message = "Send Authorization: Bearer and METRICS_TOKEN.\n"
    return HttpResponse(message, status=401, content_type="text/plain", headers={"WWW-Authenticate": "Bearer"})


def _is_local(request: HttpRequest) -> bool:
    """Return whether the request seems to come from a program on this host, and not through a proxy.

    A proxy on this host has a loopback address too. Most add a header that names the client, or keep the `Host`
    of the caller's request, which also gives away a browser that a foreign page has rebound to this host. A proxy that
    does neither is not recognized, so operators with a proxy must set `METRICS_TOKEN`.
    """
    name = re.sub(r":[0-9]*$", "", request.headers.get("Host", ""))
    is_direct = not getattr(request, "is_forwarded", True)
    address = parse_address(request.META["REMOTE_ADDR"])
    return is_direct and name in LOOPBACK_NAMES and address is not None and address.is_loopback


def _collect() -> bytes:
    return _collect_reports() + generate_latest(STATE)


def _collect_reports() -> bytes:
    folder = os.environ.get(VARIABLE)
    if not folder:
        return generate_latest(REGISTRY)  # one process, such as Django's development server
    _forget_dead_processes(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)
    return generate_latest(registry)


def _forget_dead_processes(folder: Path) -> None:
    """Remove the gauges of processes that have ended. Their counters stay."""
    found = {match[1] for file in folder.iterdir() if (match := LIVE_FILE.fullmatch(file.name))}
    for process in found:
        try:
            os.kill(int(process), 0)  # signal 0 only asks whether the process exists
        except ProcessLookupError:
            mark_process_dead(process, folder)
