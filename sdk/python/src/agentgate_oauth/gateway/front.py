"""HTTP in front of the server: tokens, challenges, and bounds on what one user can take."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastmcp import FastMCP
from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token, get_http_request
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.transport_security import DEFAULT_MAX_REQUEST_BODY_SIZE as MAX_BODY
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import AgentGateError, ApiError
from ..integrations.fastmcp import Unavailable
from ..models import Decision
from ..service.refusals import Challenge
from .callers import Caller, Denied, Introspections, grant_of
from .catalogue import Catalogue
from .config import Gateway
from .lists import needed_by

MAX_SESSIONS = 2000
MAX_SESSIONS_PER_USER = 32
MAX_REQUESTS_PER_USER = 64
BODY_SECONDS = 30
_SESSION_ID = b"mcp-session-id"
# What is refused once the gateway stops. Clients list tools to read the result of their last call.
_CALLS = frozenset({"tools/call", "resources/read", "prompts/get", "initialize"})
_SETTLE_SECONDS = 0.25


class Tokens(TokenVerifier):
    """Authenticates by introspection. It runs no policies: verify decides about each call."""

    def __init__(self, introspections: Introspections) -> None:
        super().__init__()
        self._introspections = introspections

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            found = await self._introspections.of(token)
        except AgentGateError as error:
            raise Unavailable(
                str(error), error.retry_after if isinstance(error, ApiError) else None
            ) from None
        if not found.active:
            return None
        # The subject and the client are the owner of a session: another one gets 404 for it.
        return AccessToken(
            token=token,
            client_id=found.client_id or "",
            subject=found.sub if found.consent_id else None,
            scopes=list(found.scopes),
            expires_at=found.exp,
            claims={"grant": grant_of(found)},
        )


class HttpCallers:
    """The caller of an HTTP request is the owner of its bearer token.

    The peer is the caller itself if the identifier is plain http. Behind https there is a proxy, whose
    address says nothing, so none is sent.
    """

    def __init__(self, introspections: Introspections, identifier: str) -> None:
        self._introspections = introspections
        self._is_direct = urlsplit(identifier).scheme == "http"

    async def caller(self) -> Caller:
        token = get_access_token()
        if token is None:
            raise Denied("invalid_token", "A bearer token is required.")
        grant, scopes = tuple(token.claims.get("grant", ())), frozenset(token.scopes)
        return Caller(token.token, token.subject, token.client_id, scopes, self._address(), grant)

    async def scopes(self) -> frozenset[str]:
        return (await self.caller()).scopes

    async def renew(self, caller: Caller, decision: Decision) -> bool:
        """Let the next request ask introspection again, which then answers 401 or 403."""
        if decision.reason not in ("policy_denied", "approval_required"):
            self._introspections.forget(caller.token)
        return False

    async def show(self, page: str) -> None:
        """Do nothing: the user is not where the gateway is."""

    async def step_up(self, scopes: Sequence[str]) -> bool:
        return False

    def _address(self) -> str | None:
        peer = get_http_request().client
        try:
            return str(ip_address(peer.host.partition("%")[0])) if self._is_direct and peer else None
        except ValueError:
            return None


@dataclass
class Session:
    """A session of the handshake era. `requests` are those that are open now."""

    owner: str
    used_at: float
    requests: int = 0


class Bounds:
    """What users have open now, and whether the gateway still takes calls."""

    def __init__(self, idle_seconds: float) -> None:
        self.is_stopping = False
        self._idle_seconds = idle_seconds
        self._requests: Counter[str] = Counter()
        self._streams: set[tuple[str, str]] = set()
        self._opening: Counter[str] = Counter()
        self._sessions: dict[str, Session] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def may_begin(self, owner: str) -> bool:
        return self._requests[owner] < MAX_REQUESTS_PER_USER

    @contextmanager
    def request(self, owner: str, is_opening: bool) -> Any:
        """Count a request of a user, and whether it opens a session."""
        self._requests[owner] += 1
        self._opening[owner] += is_opening
        self._idle.clear()
        try:
            yield
        finally:
            for counted, one in ((self._requests, 1), (self._opening, is_opening)):
                counted[owner] -= one
                if not counted[owner]:
                    del counted[owner]
            if not self._requests:
                self._idle.set()

    def may_stream(self, owner: str, session_id: str) -> bool:
        """Return whether the session has no stream yet. mcp checks that, but before it notes it."""
        return (owner, session_id) not in self._streams

    @contextmanager
    def stream(self, owner: str, session_id: str) -> Iterator[None]:
        """Note the stream of a session, which stays open while that does. `drain` does not wait for it."""
        self._streams.add((owner, session_id))
        try:
            yield
        finally:
            self._streams.discard((owner, session_id))

    @contextmanager
    def using(self, session_id: str | None) -> Any:
        session = self._sessions.get(session_id or "")
        if session is None:
            yield
            return
        session.requests += 1
        try:
            yield
        finally:
            session.requests -= 1
            session.used_at = time.monotonic()

    def may_open(self, owner: str) -> bool:
        """Return whether the user may open another session."""
        oldest = time.monotonic() - self._idle_seconds
        for session_id, session in list(self._sessions.items()):
            if not session.requests and session.used_at < oldest:
                del self._sessions[session_id]
        own = self._opening[owner] + sum(one.owner == owner for one in self._sessions.values())
        return own < MAX_SESSIONS_PER_USER and len(self._sessions) < MAX_SESSIONS

    def opened(self, session_id: str, owner: str) -> None:
        self._sessions.setdefault(session_id, Session(owner, time.monotonic()))

    def ended(self, session_id: str | None) -> None:
        self._sessions.pop(session_id or "", None)

    async def drain(self, seconds: float) -> bool:
        """Take no more calls, and wait for those in flight. Return whether all have ended."""
        self.is_stopping = True
        deadline = time.monotonic() + seconds
        while True:
            try:
                await asyncio.wait_for(self._idle.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                return False
            await asyncio.sleep(_SETTLE_SECONDS)
            if self._idle.is_set():
                return True


class Front:
    """Bounds requests, and answers 403 for a call whose scope the token lacks (RFC 6750 section 3.1).

    FastMCP has authenticated the request before. Without a valid token nothing is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        catalogue: Callable[[], Catalogue],
        bounds: Bounds,
        challenge: Challenge,
        is_shadow: bool,
    ) -> None:
        self._app = app
        self._path = path
        self._catalogue = catalogue
        self._bounds = bounds
        self._challenge = challenge
        self._is_shadow = is_shadow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = scope.get("user")
        is_call = scope["type"] == "http" and scope["path"] == self._path
        if not is_call or not isinstance(user, AuthenticatedUser):
            return await self._app(scope, receive, send)
        token = user.access_token
        owner = token.subject or token.client_id
        session_id = Headers(scope=scope).get("mcp-session-id")
        is_opening = session_id is None and _is_of_handshake_era(scope)
        refused = self._refused(scope, owner, session_id, is_opening)
        if refused is not None:
            return await refused(scope, receive, send)
        with self._bounds.using(session_id):
            if scope["method"] == "GET" and session_id is not None:
                with self._bounds.stream(owner, session_id):
                    return await self._app(_from_now(scope), receive, self._watched(send, scope, owner))
            if scope["method"] != "POST":
                return await self._app(scope, receive, self._watched(send, scope, owner))
            with self._bounds.request(owner, is_opening):
                await self._post(scope, receive, send, owner, frozenset(token.scopes))

    def _refused(
        self, scope: Scope, owner: str, session_id: str | None, is_opening: bool
    ) -> JSONResponse | None:
        if scope["method"] == "GET" and session_id and not self._bounds.may_stream(owner, session_id):
            return _error(409, "conflict", "The session has a stream already. Close it first.")
        if scope["method"] != "POST":
            return None
        if not self._bounds.may_begin(owner):
            return _error(429, "too_many_requests", "Too many requests of this user are open.", retry_after=1)
        if is_opening and not self._bounds.may_open(owner):
            text = "Too many sessions are open. End one with DELETE, or wait until one is idle for long."
            return _error(503, "too_many_sessions", text, retry_after=30)
        return None

    async def _post(
        self, scope: Scope, receive: Receive, send: Send, owner: str, granted: frozenset[str]
    ) -> None:
        try:
            body = await asyncio.wait_for(_read_body(scope, receive), BODY_SECONDS)
        except asyncio.TimeoutError:
            return await _error(408, "too_slow", "The request was not sent in time.")(scope, receive, send)
        if body is None:
            text = f"A request has at most {MAX_BODY} bytes."
            return await _error(413, "too_large", text)(scope, receive, send)
        if self._bounds.is_stopping and _method_of(body) in _CALLS:
            refused = _error(503, "stopping", "The gateway stops. Try again later.", retry_after=5)
            return await refused(scope, receive, send)
        needed = [] if self._is_shadow else needed_scopes(self._catalogue(), body)
        if not set(needed) <= granted:
            return await self._step_up(needed, granted)(scope, receive, send)
        await self._app(scope, _replayed(body, receive), self._watched(send, scope, owner))

    def _step_up(self, needed: Sequence[str], granted: frozenset[str]) -> JSONResponse:
        """Return 403 with what is needed and what of it the token has, so that clients keep both."""
        kept = [scope for scope in self._catalogue().scopes() if scope in granted]
        scopes = list(dict.fromkeys((*kept, *needed)))
        text = "the token does not have every required scope"
        body = {
            "error": "insufficient_scope",
            "error_description": text,
            "scope": " ".join(scopes),
            "missingScopes": [scope for scope in needed if scope not in granted],
        }
        header = self._challenge.header(scopes, "insufficient_scope", text)
        return JSONResponse(body, 403, {"WWW-Authenticate": header})

    def _watched(self, send: Send, scope: Scope, owner: str) -> Send:
        """Note which sessions a response opens and ends."""
        asked = Headers(scope=scope).get("mcp-session-id")

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 404 or (scope["method"] == "DELETE" and message["status"] < 300):
                    self._bounds.ended(asked)
                elif message["status"] < 300 and (opened := dict(message["headers"]).get(_SESSION_ID)):
                    self._bounds.opened(opened.decode("latin-1"), owner)
            await send(message)

        return watch


def _method_of(body: bytes) -> object:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message.get("method") if isinstance(message, dict) else None


def needed_scopes(catalogue: Catalogue, body: bytes) -> list[str]:
    """Return the scopes that a JSON-RPC request needs. What is unclear needs none: it is decided later."""
    try:
        message = json.loads(body)
        method, params = message["method"], message["params"]
        if method == "tools/call" and params["name"] == catalogue.request_access:
            return needed_by(catalogue, params["arguments"]["tools"]) or []
        if method == "tools/call":
            return [catalogue.tools[params["name"]].line.scope]
        if method == "prompts/get":
            return [catalogue.prompts[params["name"]].line.scope]
        if method == "resources/read":
            return catalogue.scopes_of_uri(params["uri"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return []


def http_app(
    server: FastMCP[Any],
    gateway: Gateway,
    catalogue: Callable[[], Catalogue],
    bounds: Bounds,
    *,
    is_shadow: bool = False,
) -> Any:
    """Return the ASGI application: the MCP endpoint at the identifier's path, and its metadata."""
    parts = urlsplit(gateway.identifier)
    metadata = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path.rstrip('/')}"
    front = Middleware(
        Front,
        path=gateway.path,
        catalogue=catalogue,
        bounds=bounds,
        challenge=Challenge(resource_metadata=metadata),
        is_shadow=is_shadow,
    )
    return server.http_app(
        path=gateway.path,
        middleware=[front],
        host_origin_protection=True,
        allowed_hosts=[parts.hostname or ""],
        session_idle_timeout=gateway.limits.idle_seconds,
    )


def _is_of_handshake_era(scope: Scope) -> bool:
    version = Headers(scope=scope).get("mcp-protocol-version")
    return version is None or version in HANDSHAKE_PROTOCOL_VERSIONS


async def _read_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body, None if it is too large."""
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)


def _from_now(scope: Scope) -> Scope:
    """Return a request for a stream as one for what comes from now on: the gateway stores no events."""
    return {**scope, "headers": [one for one in scope["headers"] if one[0] != b"last-event-id"]}


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay


def _error(status: int, code: str, text: str, retry_after: int | None = None) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": code, "error_description": text}, status, headers)
