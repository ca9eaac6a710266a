"""Middleware that runs before all other middleware: the caller's address, the request's id, and foreign cookies."""

import logging
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.http import visitor
from core.ids import choose_request_id, current_id
from core.net import client_address, is_trusted, parse_address, without_zone

GetResponse = Callable[[HttpRequest], HttpResponse]

FORWARDED_HEADERS = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)
# Other headers by which proxies say that they forward a request.
OTHER_PROXY_HEADERS = ("HTTP_VIA", "HTTP_X_REAL_IP")

DECISION_PATHS = ("/api/v1/tokens/verify", "/api/v1/forward-auth", "/api/v1/health", "/oauth/introspect")


class TrustedProxyMiddleware:
    """Set `REMOTE_ADDR` and the scheme from a trusted proxy's headers, and remove these headers from all requests.

    `is_forwarded` says whether the request had any, even from an untrusted peer.

    Danger: WSGI gives `X_Forwarded_For` the same name. The front refuses header names with an underscore; behind any
    other server, a trusted proxy must drop them.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        peer = request.META["REMOTE_ADDR"] = without_zone(request.META.get("REMOTE_ADDR", ""))
        trusted = is_trusted(parse_address(peer), settings.TRUSTED_PROXIES)
        request.is_forwarded = any(name in request.META for name in (*FORWARDED_HEADERS, *OTHER_PROXY_HEADERS))  # type: ignore[attr-defined]
        forwarded = {name: request.META.pop(name, "") for name in FORWARDED_HEADERS}
        if trusted:
            forwarded_for = forwarded["HTTP_X_FORWARDED_FOR"]
            request.META["REMOTE_ADDR"] = client_address(peer, forwarded_for, settings.TRUSTED_PROXIES)
            if forwarded["HTTP_X_FORWARDED_PROTO"] in ("http", "https"):
                request.META["wsgi.url_scheme"] = forwarded["HTTP_X_FORWARDED_PROTO"]
        return self.get_response(request)


class RequestIdMiddleware:
    """Give every request an id and return it in `X-Request-Id`. A well-formed id from the caller is kept."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = choose_request_id(request.headers.get("X-Request-Id", ""))  # type: ignore[attr-defined]
        token = current_id.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
        finally:
            current_id.reset(token)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response


class DecisionCookiesMiddleware:
    """Remove the cookies of requests for a decision.

    They are not ours if a proxy asks: they belong to the site that it protects. The middleware for sessions and CSRF
    would replace those that it cannot read.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(DECISION_PATHS):
            request.META.pop("HTTP_COOKIE", None)
        return self.get_response(request)


class SessionUseMiddleware:
    """Tell the browser's session who uses it, and let it record the use after the response is made.

    It writes at most once in a few minutes (`accounts.sessions`), and nothing for a request that read no session.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.session.find_visitor = partial(visitor, request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if request.session.accessed and not request.session.modified:
            request.session.record_use()  # type: ignore[attr-defined]
        return response


class RequestIdFilter(logging.Filter):
    """Add the request's id to every log record, including those that Django writes after the request.

    The event loop has many requests in hand, so the front passes the id in `extra`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            request = getattr(record, "request", None)
            record.request_id = getattr(request, "request_id", current_id.get())
        return True
