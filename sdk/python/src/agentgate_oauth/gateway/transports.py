"""Connections to upstreams, bounded in memory and time: a program over stdio, or streamable HTTP.

FastMCP's own transports keep a line or a body of any size, and start a task for each message. Here a
message has at most `message_bytes`, messages and bytes are taken in at a steady pace, and few requests of the
upstream wait for an answer at a time. What breaks a limit ends its own session; other sessions go on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
from anyio.abc import ByteReceiveStream, Process
from fastmcp.client.transports import ClientTransport
from fastmcp.client.transports.base import SessionKwargs, TransportOptions
from mcp import ClientSession
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream, create_context_streams
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from typing_extensions import Self, Unpack

from .config import Limits

logger = logging.getLogger("agentgate_oauth.gateway")

MESSAGES_PER_SECOND = 1000
BYTES_PER_SECOND = 32_000_000
MAX_UNANSWERED = 64  # requests of the upstream that the client has not answered yet
MALFORMED_LOGGED = 5  # per session
STDERR_LINE_BYTES = 2000
STDERR_LINES_PER_SECOND = 10
STDERR_LINES_KEPT = 20
MAX_SAID = 300
GETS_PER_SECOND = 2
GRACE_SECONDS = 2.0  # after closing stdin, again after SIGTERM, and again after SIGKILL
EXIT_SECONDS = 0.1  # between the end of the output and the exit
EXTRA_SECONDS = 30  # beyond call_seconds, after which a response stream is given up
CHUNK_BYTES = 65_536
SHORTEST_SECRET = 6
# Which line of an error output says what is wrong, and what Node and npm write after it.
_ERROR = re.compile("error|exception|fatal", re.IGNORECASE)
_AFTER_ERROR = re.compile(
    r"Node\.js v[\d.]+|npm (error|ERR!)( 404)?( (A complete log|Note that you|tarball,) .*)?"
)
# How the names begin of what the gateway itself asks clients. The answers are not for upstreams.
OWN_INPUT = "agentgate-gateway:"

_CHANGED = frozenset(
    {
        "notifications/tools/list_changed",
        "notifications/resources/list_changed",
        "notifications/prompts/list_changed",
    }
)
_WANTED = frozenset({"notifications/progress", "notifications/message", "notifications/cancelled"})


@dataclass(eq=False)
class Call:
    """One request to an upstream. `sent` says whether any of it may have reached the upstream.

    `status` is the HTTP status of the response, if there was one. `owner` is for the pool.
    """

    owner: Any
    sent: bool = False
    status: int | None = None


current_call: ContextVar[Call | None] = ContextVar("agentgate_gateway_call", default=None)


class UpstreamTransport(ClientTransport):
    """A connection for one session. Once it has ended, `ended` says why, and `on_end` has been called.

    `said` is what a program wrote to stderr last. It is for the operator, and not for callers.
    `closed` is set while nothing of it is left. `changed` is set when the upstream says that a list has
    changed.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.ended: str | None = None
        self.said = ""
        self.on_end: Callable[[], None] = lambda: None
        self.changed = False
        self.closed = asyncio.Event()
        self.closed.set()
        self._bytes = _Pace(BYTES_PER_SECOND, limits.message_bytes * 2)
        self._messages = _Pace(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND)
        self._unanswered: set[RequestId] = set()
        self._malformed = 0
        self._is_abandoned = False

    def end(self, reason: str) -> None:
        """Note why the session ends; the first reason counts."""
        if self.ended is None and not self._is_abandoned:
            self.ended = reason
            self.on_end()

    @asynccontextmanager
    async def connect_session(
        self, *, transport_options: TransportOptions | None = None, **session_kwargs: Unpack[SessionKwargs]
    ) -> AsyncGenerator[ClientSession, None]:
        session_class = (transport_options or TransportOptions()).session_class
        self.closed.clear()
        try:
            async with (
                self._streams() as (receiver, writer),
                session_class(_Received(receiver, self), _Sent(writer, self), **session_kwargs) as session,
            ):
                try:
                    yield session
                except Exception:
                    self._is_abandoned = True  # by the client, which knows why
                    raise
        except Exception:
            self.end("sent what cannot be processed, or its connection failed")
            raise
        finally:
            self.closed.set()

    def _streams(self) -> AbstractAsyncContextManager[TransportStreams]:
        raise NotImplementedError

    async def count(self, size: int) -> None:
        """Count bytes that arrived, and wait if they arrive too fast."""
        await self._bytes.take(size)

    async def admit(self, message: JSONRPCMessage) -> bool:
        """Wait if messages arrive too fast; return whether the session may see this one."""
        await self._messages.take(1)
        if isinstance(message, JSONRPCNotification):
            return self._admits_notification(message)
        if isinstance(message, JSONRPCRequest):
            return self._admits_request(message)
        return True

    def answered(self, request_id: RequestId | None) -> None:
        """Note that a request of the upstream has its answer, or needs none any longer."""
        if request_id is not None:
            self._unanswered.discard(request_id)

    def log_malformed(self) -> None:
        """Log a message that is not JSON-RPC, without what it says."""
        self._malformed += 1
        if self._malformed <= MALFORMED_LOGGED:
            logger.warning("%s: ignored a message that is not JSON-RPC", self.name)

    def _admits_notification(self, message: JSONRPCNotification) -> bool:
        if message.method in _CHANGED:
            self.changed = True
        if message.method == "notifications/cancelled":
            self.answered(cancelled_request_id_from_params(message.params))
        return message.method in _WANTED and not _has_huge_number(message.params)

    def _admits_request(self, message: JSONRPCRequest) -> bool:
        if message.id in self._unanswered or len(self._unanswered) >= MAX_UNANSWERED:
            self.end(f"sent more than {MAX_UNANSWERED} requests at once, or two with the same id")
            return False
        self._unanswered.add(message.id)
        return True


class StdioTransport(UpstreamTransport):
    """Starts a program in its own process group, and speaks with it over stdin and stdout.

    It starts in an empty folder of its own, which is deleted after it. It sees the variables in
    `environment`, PATH, HOME and few others, and inherits no descriptor. What it writes to stderr is logged,
    without the values of `environment`. At the end its stdin is closed, and then its group is terminated.
    Processes that have left the group are not.
    """

    def __init__(self, name: str, limits: Limits, command: list[str], environment: Mapping[str, str]) -> None:
        super().__init__(name, limits)
        self._command = command
        self._environment = dict(environment)
        lines = {line for value in environment.values() for line in [value, *value.splitlines()]}
        self._hidden = sorted((one for one in lines if len(one) >= SHORTEST_SECRET), key=len, reverse=True)
        self._last_lines: deque[bytes] = deque(maxlen=STDERR_LINES_KEPT)
        self._has_said_all = False

    @asynccontextmanager
    async def _streams(self) -> AsyncGenerator[TransportStreams, None]:
        async with AsyncExitStack() as stack:
            try:
                folder = await stack.enter_async_context(_own_folder())
            except (OSError, RuntimeError) as error:
                problem = getattr(error, "strerror", None) or "the user has no home"
                self.end(f"has no folder to start in ({problem}). Set XDG_CACHE_HOME to one it may write to")
                raise
            yield await stack.enter_async_context(self._streams_in(folder))

    @asynccontextmanager
    async def _streams_in(self, folder: str) -> AsyncGenerator[TransportStreams, None]:
        process = await self._start(folder)
        sender, receiver = create_context_streams[SessionMessage | Exception](0)
        writer, reader = create_context_streams[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, process, sender)
            tasks.start_soon(self._write, process, reader)
            tasks.start_soon(self._log_stderr, process)
            try:
                yield receiver, writer
            except Exception:
                self.end("sent what cannot be processed")
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await _stop(process)
                tasks.cancel_scope.cancel()
                for stream in sender, receiver, writer, reader:
                    stream.close()

    async def _start(self, folder: str) -> Process:
        command = [_path_of(self._command[0]), *self._command[1:]]
        own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
        environment = {**get_default_environment(), **own, **self._environment}
        try:
            return await anyio.open_process(command, env=environment, cwd=folder, start_new_session=True)
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or "its arguments are not valid"
            self.end(f"could not be started: {problem}")
            raise

    async def _read(self, process: Process, sender: ContextSendStream[SessionMessage | Exception]) -> None:
        assert process.stdout is not None
        reason = "closed its output"
        try:
            async for line in self._lines(process.stdout):
                message = self._parse(line)
                if message is not None:
                    await sender.send(SessionMessage(message))
                else:
                    await self._messages.take(1)
            reason = await self._ending(process, reason)
        except _TooLong:
            reason = f"sent a message of more than {self.limits.message_bytes:,} bytes"
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the session ends, or the pipe broke: both are an end of the output
        finally:
            self.end(reason)  # before calls wake up because the stream is closed
            sender.close()

    async def _lines(self, stream: ByteReceiveStream) -> AsyncIterator[bytes]:
        line = bytearray()
        while True:
            try:
                chunk = await stream.receive(CHUNK_BYTES)
            except anyio.EndOfStream:
                return
            await self.count(len(chunk))
            *complete, rest = chunk.split(b"\n")
            for part in complete:
                line += part
                self._check_length(line)
                yield bytes(line)
                line.clear()
            line += rest
            self._check_length(line)

    def _check_length(self, line: bytearray) -> None:
        if len(line) > self.limits.message_bytes:
            raise _TooLong

    def _parse(self, line: bytes) -> JSONRPCMessage | None:
        if not line.strip():
            return None
        try:
            return jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self.log_malformed()
            return _malformed_answer(line)

    async def _write(self, process: Process, reader: ContextReceiveStream[SessionMessage]) -> None:
        assert process.stdin is not None
        try:
            async with reader:
                async for item in reader:
                    context = reader.last_context
                    call = context.get(current_call) if context is not None else None
                    if call is not None and isinstance(item.message, JSONRPCRequest):
                        call.sent = True
                    text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await process.stdin.send(text.encode() + b"\n")
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.end(await self._ending(process, "closed its input"))

    async def _log_stderr(self, process: Process) -> None:
        assert process.stderr is not None
        pace = _Pace(STDERR_LINES_PER_SECOND, STDERR_LINES_PER_SECOND * 5)
        line, dropped = bytearray(), 0
        with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                chunk = await process.stderr.receive(CHUNK_BYTES)
                await self._bytes.take(len(chunk))
                *complete, rest = chunk.split(b"\n")
                for part in complete:
                    line += part[:STDERR_LINE_BYTES]
                    self._last_lines.append(bytes(line[:STDERR_LINE_BYTES]))
                    if pace.has(1):
                        before = f" ({dropped} lines before it are left out)" if dropped else ""
                        logger.info("%s: %s%s", self.name, self._printable(line), before)
                        dropped = 0
                    else:
                        dropped += 1
                    line.clear()
                line += rest[: max(0, STDERR_LINE_BYTES - len(line))]
        if line:
            self._last_lines.append(bytes(line))
            logger.info("%s: %s", self.name, self._printable(line))
        self._has_said_all = True

    async def _ending(self, process: Process, otherwise: str) -> str:
        """Return how the program ended, or `otherwise` if it has not. Note what it said last."""
        await _wait(lambda: process.returncode is not None, EXIT_SECONDS)
        if process.returncode is None:
            return otherwise
        await _wait(lambda: self._has_said_all, EXIT_SECONDS)
        self.said = _last_error(map(self._printable, self._last_lines))
        if process.returncode < 0:
            return f"was ended by signal {-process.returncode}"
        return f"exited with code {process.returncode}"

    def _printable(self, line: bytes | bytearray) -> str:
        text = line[:STDERR_LINE_BYTES].decode(errors="replace")
        for value in self._hidden:
            text = text.replace(value, "[hidden]")
        if len(line) >= STDERR_LINE_BYTES and self._hidden:
            text = text[: -len(self._hidden[0])]  # a value can be cut off at the end
        return "".join(one if one.isprintable() else " " for one in text)


def _path_of(program: str) -> str:
    """Return the path of a program, which is started in another folder than that of the gateway."""
    found = shutil.which(program)
    return os.path.abspath(found) if found else program


def _new_folder() -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "agentgate").absolute()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix="upstream-", dir=cache)


@asynccontextmanager
async def _own_folder() -> AsyncGenerator[str, None]:
    """Yield a new folder with mode 700, and delete it afterwards, without holding up other sessions.

    It is in the user's cache. In /tmp, another user could put a `node_modules` or a `pyproject.toml` above
    it, and npx and uv look for these in all folders above. Raises OSError.
    """
    folder = _new_folder()
    try:
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


class HttpTransport(UpstreamTransport):
    """Speaks streamable HTTP with one URL. It sends the configured headers, and none of a caller.

    A redirect to another origin is not followed, so headers go nowhere else. Responses are not compressed,
    because their size is bounded as it arrives.
    """

    def __init__(self, name: str, limits: Limits, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(name, limits)
        self._url = url
        self._headers = dict(headers)

    @asynccontextmanager
    async def _streams(self) -> AsyncGenerator[TransportStreams, None]:
        most = self.limits.message_bytes
        async with (
            _BoundedClient(self, self._headers) as client,
            streamable_http_client(self._url, http_client=client, max_sse_event_size=most) as streams,
        ):
            yield streams


class _BoundedClient(httpx2.AsyncClient):
    """Bounds what comes back, and notes on the call what was sent."""

    def __init__(self, transport: UpstreamTransport, headers: Mapping[str, str]) -> None:
        limits = transport.limits
        own = {name.lower(): value for name, value in headers.items()}
        super().__init__(
            headers={**own, "accept-encoding": "identity"},
            timeout=httpx2.Timeout(30.0, read=limits.call_seconds + EXTRA_SECONDS),
            limits=httpx2.Limits(max_connections=limits.calls + 8, max_keepalive_connections=8),
        )
        self._upstream = transport
        self._gets = _Pace(GETS_PER_SECOND, GETS_PER_SECOND * 2)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = current_call.get()
        if request.method == "GET":
            await self._gets.take(1)
        elif call is not None:
            call.sent = True
        try:
            response = await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            if call is not None:
                call.sent = False
            self._upstream.end("could not be reached")
            raise
        if call is not None:
            call.status = response.status_code
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            self._upstream.end("compressed its answer, which was not asked for")
            raise httpx2.DecodingError("The response is compressed")
        response.stream = _BoundedBody(response, request, self._upstream)
        return response


class _BoundedBody(httpx2.AsyncByteStream):
    """A body of at most `message_bytes`. A stream of events can be longer, but each event cannot."""

    def __init__(
        self, response: httpx2.Response, request: httpx2.Request, upstream: UpstreamTransport
    ) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._stream = response.stream
        self._upstream = upstream
        kind = response.headers.get("content-type", "").lower()
        self._is_stream = kind.startswith("text/event-stream")
        self._ends = time.monotonic() + upstream.limits.call_seconds + EXTRA_SECONDS
        self._has_end = request.method != "GET"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, limit = 0, self._upstream.limits.message_bytes
        async for chunk in self._stream:
            size += len(chunk)
            if size > limit and not self._is_stream:
                raise httpx2.StreamError(f"it has more than {limit:,} bytes")
            if self._has_end and time.monotonic() > self._ends:
                raise httpx2.StreamError("it did not end in time")
            await self._upstream.count(len(chunk))
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Wrapped:
    """A stream of messages with one that it closes when it is closed."""

    def __init__(self, stream: Any, transport: UpstreamTransport) -> None:
        self._stream = stream
        self._transport = transport

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Received(_Wrapped):
    """What the session reads: the messages of an upstream that its transport admits."""

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        while True:
            item = await self._stream.receive()
            if isinstance(item, SessionMessage) and await self._transport.admit(item.message):
                return item
            if isinstance(item, Exception):
                self._transport.log_malformed()
            if self._transport.ended is not None:
                raise anyio.EndOfStream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class _Sent(_Wrapped):
    """What the session writes. It notes which requests of the upstream have their answer."""

    async def send(self, item: SessionMessage, /) -> None:
        if isinstance(item.message, JSONRPCRequest):
            _remove_own_input(item.message.params or {})
        await self._stream.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._transport.answered(item.message.id)


def bound_library_logs() -> None:
    """Let mcp log few of an upstream's mistakes, and not what the upstream said."""
    for name in "client", "mcp.client.streamable_http", "mcp.shared.jsonrpc_dispatcher":
        library = logging.getLogger(name)
        if not any(isinstance(one, _FewRecords) for one in library.filters):
            library.addFilter(_FewRecords())


class _FewRecords(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._pace = _Pace(1, 20)

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return record.levelno < logging.INFO or self._pace.has(1)


class _TooLong(Exception):
    """A line has more than `message_bytes`."""


class _Pace:
    """Lets `rate` units per second pass, and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._then = time.monotonic()

    def has(self, units: float) -> bool:
        """Take the units if they are there."""
        self._refill()
        if self._left < units:
            return False
        self._left -= units
        return True

    async def take(self, units: float) -> None:
        """Take the units, and wait until they are there."""
        self._refill()
        self._left -= units
        if self._left < 0:
            await anyio.sleep(-self._left / self._rate)

    def _refill(self) -> None:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now


def _remove_own_input(params: dict[str, Any]) -> None:
    """Remove the answers to what the gateway asked itself, which no approval covers."""
    given = params.pop("inputResponses", None) or {}
    if others := {name: answer for name, answer in given.items() if not name.startswith(OWN_INPUT)}:
        params["inputResponses"] = others


def _has_huge_number(params: Mapping[str, Any] | None) -> bool:
    """Return whether a progress cannot be a float, which would end mcp's receive loop."""
    numbers = [(params or {}).get("progress"), (params or {}).get("total")]
    return any(isinstance(number, int) and abs(number) > 2**1000 for number in numbers)


def _malformed_answer(line: bytes) -> JSONRPCError | None:
    """Return an error in the place of an answer that is not JSON-RPC, so that its call need not wait."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "method" in document:
        return None
    answered = document.get("id")
    if isinstance(answered, bool) or not isinstance(answered, int | str):
        return None
    return JSONRPCError(
        jsonrpc="2.0", id=answered, error=ErrorData(code=INTERNAL_ERROR, message=MALFORMED_ANSWER)
    )


MALFORMED_ANSWER = "The upstream's answer is not valid JSON-RPC."


def _last_error(lines: Iterable[str]) -> str:
    """Return the last line that names an error, else the last one, without what programs append to all."""
    stripped = (line.strip() for line in lines)
    telling = [line for line in stripped if line and not _AFTER_ERROR.fullmatch(line)]
    errors = [line for line in telling if _ERROR.search(line)]
    return (errors or telling or [""])[-1][:MAX_SAID]


async def _stop(process: Process) -> None:
    """End the program and its group. Each wait is bounded."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        with anyio.move_on_after(GRACE_SECONDS):
            await process.stdin.aclose()
    await _wait(lambda: process.returncode is not None)
    if _signal(process, signal.SIGTERM) and not await _wait(lambda: _has_ended(process)):
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    if not await _wait(lambda: process.returncode is not None):
        logger.warning("The process %d is still there after SIGKILL", process.pid)
    # A process that left the group can hold the pipes open; asyncio then waits for them.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()
    await anyio.lowlevel.checkpoint()


async def _wait(is_done: Callable[[], bool], seconds: float | None = None) -> bool:
    with anyio.move_on_after(GRACE_SECONDS if seconds is None else seconds):
        pause = 0.001
        while not is_done():
            await anyio.sleep(pause)
            pause = min(0.05, pause * 2)
        return True
    return False


def _has_ended(process: Process) -> bool:
    return not _signal(process, 0) and process.returncode is not None


def _signal(process: Process, number: int) -> bool:
    """Send a signal to the process group; return whether it still has members."""
    if not hasattr(os, "killpg"):  # Windows has no process groups
        if process.returncode is None and number:
            process.kill()
        return process.returncode is None
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
