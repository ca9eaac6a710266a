"""Does for requests that the event loop answers what Django's middleware does for all others."""

from contextlib import suppress
from functools import lru_cache

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string

from core.actor import Actor
from core.errors import NotAuthenticated
from core.http import MAX_USER_AGENT_LENGTH
from core.ids import acceptable_id, new_id
from core.messages import NotDirect, Request, once_per_head
from core.net import client_address, is_trusted, parse_address, without_zone
from core.text import plain_text
from decisions.callers import read_credential
from decisions.expectations import proved_organization
from limits.throttle import address_group
from server.front.environ import make_environ

Headers = tuple[tuple[str, str], ...]

METRICS = "server.metrics.MetricsMiddleware"
MAX_HOST_LENGTH = 300
FORWARDED_SCHEMES = ("http", "https")
# Each response has its own values of these.
OWN = frozenset(("content-length", "content-type", "x-request-id"))


def common_headers(path: str = "/api/v1/health") -> Headers:
    """Return the headers that the middleware adds to every response to a program, or at `path`, by running it once."""

    def respond(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    chain = respond
    for name in reversed(settings.MIDDLEWARE):
        if name != METRICS:  # the request below is not a client's
            chain = import_string(name)(chain)
    scheme = "https" if settings.IS_HTTPS else "http"
    request = Request("GET", path, "", {"host": settings.HOSTNAME}, b"", "127.0.0.1", scheme)
    response = chain(WSGIRequest(make_environ(request, port="0")))
    return tuple((name, value) for name, value in response.items() if name.lower() not in OWN)


@once_per_head
def require_usual(request: Request) -> None:
    """Raise `NotDirect` for a request that Django would redirect or refuse because of its scheme or host."""
    if settings.IS_HTTPS and not _is_secure(request):
        raise NotDirect
    host = request.headers.get("host", "")
    if len(host) > MAX_HOST_LENGTH or not _is_host_allowed(host):
        raise NotDirect


def caller_of(request: Request) -> Actor:
    """Return the sender as an anonymous actor, as `core.http.visitor` does behind the middleware."""
    ip, user_agent, offered_id = _origin(request)
    return Actor("anonymous", None, ip, user_agent, offered_id or new_id("req"))


@once_per_head
def _origin(request: Request) -> tuple[str | None, str, str]:
    """Return the sender's address and user agent, and the request id that it chose, or "" if a new one is needed."""
    headers = request.headers
    ip = _address_of(request.peer, _forwarded_for(request)) or None
    offered_id = headers.get("x-request-id", "")
    return ip, _shown(headers.get("user-agent", "")[:MAX_USER_AGENT_LENGTH]), acceptable_id(offered_id)


def caller_in_turn(request: Request) -> str:
    """Return whose turn a request takes: the organization's whose service sent its secret, else the address's.

    So a caller gets no further turns by made-up credentials, nor an organization by many services.
    """
    with suppress(NotAuthenticated):
        credential = read_credential(request.headers)
        organization_id = proved_organization(credential) if credential else None
        if organization_id:
            return organization_id
    return address_group(caller_of(request).ip or "")


@lru_cache(1024)
def is_proxy(peer: str) -> bool:
    """Return whether the peer is one of `TRUSTED_PROXIES`."""
    return is_trusted(parse_address(without_zone(peer)), settings.TRUSTED_PROXIES)


def _forwarded_for(request: Request) -> str:
    """Return the header of a trusted proxy. Those of others are ignored, and must not fill the cache."""
    return request.headers.get("x-forwarded-for", "") if is_proxy(request.peer) else ""


def _is_secure(request: Request) -> bool:
    stated = request.headers.get("x-forwarded-proto", "")
    return (stated if stated in FORWARDED_SCHEMES and is_proxy(request.peer) else request.scheme) == "https"


@lru_cache(1024)
def _address_of(peer: str, forwarded_for: str) -> str:
    """Return the caller's address. Without a trusted proxy, it is the peer's, as the kernel spells it."""
    if not is_proxy(peer):
        return without_zone(peer)
    return client_address(without_zone(peer), forwarded_for, settings.TRUSTED_PROXIES)


@lru_cache(1024)
def _shown(user_agent: str) -> str:
    return plain_text(user_agent)


@lru_cache(1024)
def _is_host_allowed(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
