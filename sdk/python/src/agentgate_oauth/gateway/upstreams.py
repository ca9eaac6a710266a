"""Sessions with upstreams: one per user, agent, upstream and protocol era, so that two users never share one.

FastMCP's proxy components (`ProxyTool` and the like) use an `UpstreamClient`. It takes a session out of the
pool for one call, and forwards what the upstream says during the call to the connection that made it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import anyio
from fastmcp.exceptions import FastMCPError, ToolError
from fastmcp.server.dependencies import get_context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers.proxy import (
    ProxyClient,
    _restore_request_context,
    default_proxy_elicitation_handler,
    default_proxy_log_handler,
    default_proxy_progress_handler,
    default_proxy_sampling_handler,
)
from mcp import ClientSession, MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    ElicitResult,
    ErrorData,
    Implementation,
    ListPromptsRequest,
    ListResourcesRequest,
    ListResourceTemplatesRequest,
    ListToolsRequest,
    PaginatedRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter
from pydantic_core import to_json
from typing_extensions import Self

from .._version import VERSION
from .config import ConfigError, Limits, Secret, Upstream
from .lock import Definition, Definitions
from .transports import (
    MALFORMED_ANSWER,
    Call,
    HttpTransport,
    StdioTransport,
    UpstreamTransport,
    bound_library_logs,
    current_call,
)

logger = logging.getLogger("agentgate_oauth.gateway")

Era = Literal["modern", "legacy"]
Result = TypeVar("Result")
MAX_PAGES = 50
MAX_DEFINITIONS = 5000
MAX_FORWARDED = 64  # log messages and progress that wait for the client, per session
FORWARD_SECONDS = 5
CLOSE_SECONDS = 10.0
_RAW: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
_UNANSWERED = (CONNECTION_CLOSED, PARSE_ERROR)
_HTTP_ERROR = "Server returned an error response"  # by mcp, if the body is not a JSON-RPC error
_CLOSED = "Connection closed"  # by mcp
_SESSION_GONE = "Session terminated"  # by mcp, for 404


class UpstreamError(FastMCPError):
    """A call has no answer of the upstream. `sent` says whether the request may have reached it.

    `said` is the last line of its error output. It is for the operator, and not in the text for callers.
    """

    def __init__(self, upstream: str, problem: str, *, sent: bool) -> None:
        outcome = "The call may have been carried out." if sent else "The call was not carried out."
        super().__init__(f"The upstream {upstream} {problem}. {outcome}", log_level=logging.WARNING)
        self.upstream = upstream
        self.problem = problem
        self.sent = sent
        self.said = ""


class UpstreamBusy(UpstreamError):
    """All sessions, or all calls of the session, are in use; or the gateway stops."""


class UpstreamFailed(UpstreamError):
    """The upstream could not be started or reached, or its definitions cannot be read."""


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer within `call_seconds`."""


class UpstreamEnded(UpstreamError):
    """The session ended before the answer, or the answer is not valid."""


@dataclass(frozen=True)
class Key:
    """Whose session it is, and with what."""

    user_id: str
    agent_id: str
    upstream: str
    era: Era


class Upstreams:
    """All sessions with the upstreams. Close it with `aclose`, or use it as a context manager.

    `compare(upstream, definitions)` gets the live definitions before the first call of a session, before the
    next call after the upstream said that a list has changed, and before the first call more than
    `compare_seconds` after the last time. The call goes on when it returns. It must not block or raise.

    Variables and files of secrets are read now. Raises ConfigError.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        limits: Limits,
        compare: Callable[[str, Definitions], None] | None = None,
        compare_seconds: float = 60,
    ) -> None:
        bound_library_logs()
        self.limits = limits
        self._factories = {name: _factory(name, one, limits) for name, one in upstreams.items()}
        self._compare = compare
        self._compare_seconds = compare_seconds
        self._current: dict[Key, _Session] = {}
        self._all: set[_Session] = set()
        self._is_closing = False

    def client(self, name: str, *, user_id: str, agent_id: str, era: Era) -> UpstreamClient:
        """Return a client for one call. It takes its session when it is entered."""
        return UpstreamClient(self, Key(user_id, agent_id, name, era))

    def count(self) -> Mapping[str, int]:
        """Return how many sessions each upstream has."""
        return Counter(session.key.upstream for session in self._all)

    async def aclose(self, seconds: float = 30) -> None:
        """Refuse new calls, let those in flight finish for this long, and end all sessions."""
        self._is_closing = True
        deadline = time.monotonic() + seconds
        while any(one.leases for one in self._all) and time.monotonic() < deadline:  # noqa: ASYNC110
            await anyio.sleep(0.02)
        closing = [session.close() for session in list(self._all)]
        if closing:
            await asyncio.wait(closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _take(self, key: Key) -> _Session:
        if self._is_closing:
            raise UpstreamBusy(key.upstream, "is being stopped: the gateway ends", sent=False)
        while (session := self._current.get(key)) is None:
            self._require_share(key)
            if len(self._all) < self.limits.sessions:
                session = _Session(key, self._factories[key.upstream], self.limits, self._forget)
                self._current[key] = session
                self._all.add(session)
                break
            await self._make_room(key)
        if session.leases >= self.limits.calls:
            raise UpstreamBusy(key.upstream, f"already has {session.leases} calls of this agent", sent=False)
        session.take()
        try:
            await session.wait_until_open()
            if self._compare is not None:
                await self._compare_if_due(session)
        except BaseException:
            session.give_back()
            raise
        return session

    def _require_share(self, key: Key) -> None:
        """Leave a quarter of the sessions to other users."""
        used = sum(1 for one in self._all if one.leases and one.key.user_id == key.user_id)
        if used >= max(1, self.limits.sessions * 3 // 4):
            raise UpstreamBusy(key.upstream, f"cannot be started: this user has {used} in use", sent=False)

    async def _make_room(self, key: Key) -> None:
        """End the session that was idle for longest, and wait until it has ended."""
        idle = [session for session in self._all if not session.leases]
        if not idle:
            problem = f"cannot be started: all {len(self._all)} sessions are in use"
            raise UpstreamBusy(key.upstream, problem, sent=False)
        await asyncio.wait([min(idle, key=lambda session: session.used_at).close()])

    async def _compare_if_due(self, session: _Session) -> None:
        async with session.comparing:
            age = time.monotonic() - session.compared_at
            if age < self._compare_seconds and not session.transport.changed:
                return
            session.transport.changed = False
            try:
                definitions = await _read_definitions(session)
            except UpstreamError as error:
                session.transport.changed = True
                raise type(error)(error.upstream, error.problem, sent=False) from None
            except BaseException:
                session.transport.changed = True
                raise
            session.compared_at = time.monotonic()
            session.definitions = definitions
            if self._compare is not None:
                self._compare(session.key.upstream, definitions)

    def _forget(self, session: _Session, has_closed: bool) -> None:
        if self._current.get(session.key) is session:
            del self._current[session.key]
        if has_closed:
            self._all.discard(session)


async def read_definitions(name: str, upstream: Upstream, limits: Limits) -> Definitions:
    """Start or call an upstream once, and return what it offers. Raises UpstreamError and ConfigError."""
    pool = Upstreams({name: upstream}, limits)
    try:
        async with pool.client(name, user_id="", agent_id="", era="modern") as client:
            return await client.read_definitions()
    finally:
        await pool.aclose(0)


def front_era() -> Era:
    """Return the protocol era of the request that is being answered."""
    request = get_context().request_context
    is_modern = request is not None and request.protocol_version in MODERN_PROTOCOL_VERSIONS
    return "modern" if is_modern else "legacy"


class UpstreamClient(ProxyClient[UpstreamTransport]):
    """One call's view of a session in the pool: what FastMCP's proxy components take for their client.

    Enter it around what belongs together; inner `async with` keep the same session. It is for one task.
    Raises UpstreamError if the upstream does not answer, and MCPError if it answers with an error.
    """

    def __init__(self, pool: Upstreams, key: Key) -> None:
        super().__init__(
            _Nowhere(key.upstream, pool.limits),
            forward_incoming_headers=False,
            roots=None,
            progress_handler=self._forward_progress,
        )
        self._pool = pool
        self._key = key
        self._leased: _Session | None = None
        self._depth = 0
        self._call = Call(self)

    @property
    def sent(self) -> bool:
        """Return whether the last request may have reached the upstream."""
        return self._call.sent

    @property
    def session(self) -> ClientSession:
        session = self._session_state.session
        if session is None:
            reason = None if self._leased is None else self._leased.transport.ended
            raise UpstreamEnded(self._key.upstream, reason or "has no session", sent=False)
        return session

    @property
    def compared(self) -> Definitions | None:
        """Return the definitions that this session had when they were compared last."""
        return None if self._leased is None else self._leased.definitions

    async def read_definitions(self) -> Definitions:
        """Return what the upstream offers to this session now. Raises UpstreamError."""
        assert self._leased is not None
        return await _read_definitions(self._leased)

    async def __aenter__(self) -> Self:
        if self._depth == 0:
            self._leased = await self._pool._take(self._key)
            self._session_state = self._leased.connection._session_state
        self._depth += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0 and self._leased is not None:
            self._leased.give_back()

    async def _await_with_session_monitoring(self, coro: Coroutine[Any, Any, Result]) -> Result:
        assert self._leased is not None
        self._call = Call(self)
        return await self._leased.request(self._call, super()._await_with_session_monitoring, coro)

    async def _forward_progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self._leased is not None and self._proxy_rc_ref[0] is not None:
            _restore_request_context(self._proxy_rc_ref)
            await self._leased.forward(default_proxy_progress_handler(progress, total, message))


class AnsweredErrors(Middleware):
    """Passes on the error that an upstream answered to a call, where FastMCP would make text of it."""

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        try:
            return await call_next(context)
        except ToolError as error:
            if isinstance(error.__cause__, MCPError):
                raise error.__cause__ from None
            raise


@dataclass(eq=False)
class _Session:
    """One session: its transport, the calls that use it, and what the upstream asks during them.

    Over HTTP, what the upstream sends belongs to the call in whose response it stands. Over stdio nothing
    says to which call it belongs. Questions to the user (elicitation) and to the model (sampling) then go to
    the last call in flight, if all calls in flight are of one connection; else they are refused.
    """

    key: Key
    factory: Callable[[], UpstreamTransport]
    limits: Limits
    forget: Callable[[_Session, bool], None]
    leases: int = 0
    used_at: float = 0.0
    compared_at: float = float("-inf")
    definitions: Definitions | None = None
    comparing: anyio.Lock = field(default_factory=anyio.Lock)
    calls: dict[Call, None] = field(default_factory=dict)
    _forwarding: int = 0
    _is_retired: bool = False
    _was_refused: bool = False
    _closing: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._connect()
        self._opening = _start_apart(self._open())

    def _connect(self) -> None:
        self.transport = self.factory()
        self.connection = ProxyClient(
            self.transport,
            forward_incoming_headers=False,
            mode="auto" if self.key.era == "modern" else "legacy",
            init_timeout=self.limits.start_seconds,
            client_info=Implementation(name="agentgate-gateway", version=VERSION),
            roots=None,
            sampling_handler=self._sample,
            elicitation_handler=None,
            log_handler=self._log,
            progress_handler=_ignore,
            message_handler=_ignore,
        )
        # FastMCP's callback tries the user's answer with the expressions in the upstream's schema, for years.
        self.connection._session_kwargs["elicitation_callback"] = self._elicit
        self.connection._disconnect_timeout = CLOSE_SECONDS

    async def wait_until_open(self) -> None:
        """Wait for the start, which other calls may wait for too. Raises UpstreamFailed."""
        await asyncio.wait([self._opening])
        problem = "was ended by the gateway" if self._opening.cancelled() else self._opening.result()
        if problem is not None:
            raise self._with_last_line(UpstreamFailed(self.key.upstream, problem, sent=False))
        if self.transport.ended is not None:
            raise UpstreamEnded(self.key.upstream, self.transport.ended, sent=False)

    async def _open(self) -> str | None:
        """Connect, and return what was wrong. A modern upstream answers a client of the older era, too."""
        problem = await self._enter()
        if problem is not None and self._was_refused and self.key.era == "legacy":
            self._connect()
            self.connection.mode = "auto"
            problem = await self._enter()
        if problem is None:
            self.transport.on_end = self.retire
            problem = self.transport.ended
        if problem is not None:
            self.retire()
        return problem

    async def _enter(self) -> str | None:
        self._was_refused = False
        try:
            await self.connection.__aenter__()  # type: ignore[no-untyped-call]
        except MCPError as error:
            self._was_refused = self.transport.ended is None
            return self.transport.ended or f"refused the connection: {_shortened(error.error.message)}"
        except Exception as error:
            logger.info("%s: no session: %s", self.key.upstream, type(error).__name__)
            return self.transport.ended or "did not answer in time, or with valid MCP"
        return None

    def take(self) -> None:
        self.leases += 1
        if self._timer is not None:
            self._timer.cancel()

    def give_back(self) -> None:
        self.leases -= 1
        self.used_at = time.monotonic()
        if self.leases:
            return
        if self._is_retired:
            self.close()
        else:
            self._timer = asyncio.get_running_loop().call_later(self.limits.idle_seconds, self.close)

    def retire(self) -> None:
        """Take no more calls. Close when those in flight are done, or now if they cannot be."""
        self._is_retired = True
        self.forget(self, False)
        if not self.leases or self.transport.ended is not None:
            self.close()

    def close(self) -> asyncio.Task[None]:
        """Begin to close, once; return the task."""
        if self._closing is None:
            self._is_retired = True
            self.forget(self, False)
            if self._timer is not None:
                self._timer.cancel()
            self._closing = _start_apart(self._close())
        return self._closing

    async def _close(self) -> None:
        try:
            self._opening.cancel()
            await asyncio.wait([self._opening])
            self.transport.end("was ended by the gateway")
            await self.connection.close()  # type: ignore[no-untyped-call]
        except Exception as error:
            logger.debug("%s: the session had failed: %s", self.key.upstream, type(error).__name__)
        finally:
            with anyio.move_on_after(CLOSE_SECONDS):
                await self.transport.closed.wait()
            self.forget(self, True)

    async def request(
        self,
        call: Call,
        send: Callable[[Coroutine[Any, Any, Result]], Coroutine[Any, Any, Result]],
        coroutine: Coroutine[Any, Any, Result],
    ) -> Result:
        """Send one request and return its result. Raises UpstreamError and MCPError."""
        token = current_call.set(call)
        self.calls[call] = None
        try:
            with anyio.move_on_after(self.limits.call_seconds):
                return await send(coroutine)
        except MCPError as error:
            raise self._explained(call, error) from None
        except UpstreamError:
            raise
        except Exception as error:
            logger.info("%s: no valid answer: %s", self.key.upstream, type(error).__name__)
            problem = self.transport.ended or "did not answer with valid MCP, or its connection failed"
            raise UpstreamEnded(self.key.upstream, problem, sent=call.sent) from None
        finally:
            coroutine.close()
            self.calls.pop(call, None)
            current_call.reset(token)
        self.retire()  # it may hang, or still work on this call
        seconds = f"{self.limits.call_seconds:g}"
        raise UpstreamTimeout(self.key.upstream, f"did not answer within {seconds} seconds", sent=call.sent)

    def _with_last_line(self, error: UpstreamError) -> UpstreamError:
        error.said = self.transport.said
        if error.said:
            logger.info("%s: %s. It said last: %s", self.key.upstream, error.problem, error.said)
        return error

    def _explained(self, call: Call, error: MCPError) -> Exception:
        """Return an UpstreamError in the place of an error that the upstream did not answer itself."""
        code, text = error.error.code, error.error.message
        upstream = self.key.upstream
        if code == CONNECTION_CLOSED and (self.transport.ended is not None or text == _CLOSED):
            problem = self.transport.ended or "closed the session"
            return self._with_last_line(UpstreamEnded(upstream, problem, sent=call.sent))
        if text == MALFORMED_ANSWER:
            return UpstreamEnded(upstream, "did not answer with valid JSON-RPC", sent=call.sent)
        if call.status is None:
            return error
        if text == _SESSION_GONE and call.status == 404:
            self.retire()
            return UpstreamEnded(upstream, "has forgotten the session", sent=call.sent)
        if text == _HTTP_ERROR or 300 <= call.status < 400:
            problem = f"answered with HTTP status {call.status}"
            return UpstreamEnded(upstream, problem, sent=call.sent)
        if code in _UNANSWERED:
            return UpstreamEnded(upstream, f"did not answer: {_shortened(text)}", sent=call.sent)
        return error

    async def forward(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Tell the client something that may be lost: it waits for few seconds, and not for many at once."""
        if self._forwarding >= MAX_FORWARDED:
            coroutine.close()
            return
        self._forwarding += 1
        try:
            with anyio.move_on_after(FORWARD_SECONDS):
                await coroutine
        finally:
            self._forwarding -= 1

    def _restore(self, must_be_certain: bool) -> bool:
        """Put the request of the call that something belongs to in its place; return whether there is one."""
        call = current_call.get()
        if call is None or call not in self.calls:
            call = self._last_call(must_be_certain)
        if call is None or call.owner is None:
            return False
        _restore_request_context(call.owner._proxy_rc_ref)
        return call.owner._proxy_rc_ref[0] is not None

    def _last_call(self, must_be_of_one_connection: bool) -> Call | None:
        calls = [call for call in self.calls if _connection(call) is not None]
        if must_be_of_one_connection and len({_connection(call) for call in calls}) > 1:
            return None
        return calls[-1] if calls else None

    async def _log(self, message: Any) -> None:
        if self._restore(must_be_certain=False):
            await self.forward(default_proxy_log_handler(message))

    async def _elicit(self, context: Any, params: Any) -> ElicitResult | ErrorData:
        try:
            self._restore_or_refuse()
            found = await default_proxy_elicitation_handler(params.message, dict, params, context)
        except Exception as error:
            return ErrorData(code=INTERNAL_ERROR, message=str(error))
        return ElicitResult(action=found.action, content=found.content)

    async def _sample(self, messages: Any, params: Any, context: Any) -> Any:
        self._restore_or_refuse()
        return await default_proxy_sampling_handler(messages, params, context)

    def _restore_or_refuse(self) -> None:
        if not self._restore(must_be_certain=True):
            raise RuntimeError("The request belongs to no call, or it is unclear to which client's")


class _Nowhere(UpstreamTransport):
    """The transport of a client that uses a session of the pool."""

    def connect_session(self, **_: Any) -> Any:
        raise AssertionError("the pool connects")


async def _read_definitions(session: _Session) -> Definitions:
    capabilities = session.connection.server_capabilities
    left = [2 * session.limits.message_bytes]

    async def read(is_offered: object, request: Any, field_name: str, key: str) -> dict[str, Definition]:
        return await _read_pages(session, request, field_name, key, left) if is_offered else {}

    resources = capabilities and capabilities.resources
    return Definitions(
        session.connection.instructions,
        await read(capabilities and capabilities.tools, ListToolsRequest, "tools", "name"),
        await read(resources, ListResourcesRequest, "resources", "uri"),
        await read(resources, ListResourceTemplatesRequest, "resourceTemplates", "uriTemplate"),
        await read(capabilities and capabilities.prompts, ListPromptsRequest, "prompts", "name"),
    )


async def _read_pages(
    session: _Session, request: Any, field_name: str, key: str, left: list[int]
) -> dict[str, Definition]:
    """Return all entries by their keys. `left` is how many bytes all lists may still have."""
    name, found, cursor = session.key.upstream, dict[str, Definition](), None
    for _ in range(MAX_PAGES):
        page = await _read_page(session, request(params=PaginatedRequestParams(cursor=cursor)))
        for one in page.get(field_name, ()):
            if one[key] in found:
                raise UpstreamFailed(name, f"lists {_shortened(one[key])} twice", sent=False)
            found[one[key]] = one
        left[0] -= len(to_json(page))
        if left[0] < 0 or len(found) > MAX_DEFINITIONS:
            raise UpstreamFailed(name, "lists too much", sent=False)
        cursor = page.get("nextCursor")
        if cursor is None:
            return found
    raise UpstreamFailed(name, f"lists more than {MAX_PAGES} pages", sent=False)


async def _read_page(session: _Session, request: Any) -> dict[str, Any]:
    client = session.connection
    sending = client.session.send_request(request, _RAW)
    try:
        return await session.request(Call(None), client._await_with_session_monitoring, sending)
    except MCPError as error:
        if error.error.code == METHOD_NOT_FOUND:
            return {}
        problem = f"does not list what it offers: {_shortened(error.error.message)}"
        raise UpstreamFailed(session.key.upstream, problem, sent=False) from None


def _factory(name: str, upstream: Upstream, limits: Limits) -> Callable[[], UpstreamTransport]:
    if upstream.command is None:
        url = str(upstream.url)
        headers = {header: _secret(name, secret) for header, secret in upstream.headers.items()}
        return lambda: HttpTransport(name, limits, url, headers)
    command = upstream.command
    environment = {one: _secret(name, Secret(variable=one)) for one in upstream.environment}
    for one, file in upstream.environment_files.items():
        environment[one] = _secret(name, Secret(file=file))
    return lambda: StdioTransport(name, limits, command, environment)


def _secret(name: str, secret: Secret) -> str:
    try:
        return secret.read()
    except ConfigError as error:
        raise ConfigError(f"upstreams.{name}: {error}") from None


def _connection(call: Call) -> object:
    """Return what is the same for all requests of a client's connection."""
    stashed = call.owner._proxy_rc_ref[0]
    session = None if stashed is None or stashed[0] is None else stashed[0].session
    return getattr(session, "_connection", session)


def _start_apart(coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Start a task that does not see which request it is started in, because others will use its session."""
    return contextvars.Context().run(asyncio.ensure_future, coroutine)


def _shortened(text: str) -> str:
    text = "".join(one if one.isprintable() else " " for one in text[:200])
    return text.rstrip(". ")


async def _ignore(*_: object) -> None:
    pass
