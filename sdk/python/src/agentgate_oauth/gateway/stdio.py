"""MCP over standard input and output, for clients that start the gateway as a program.

FastMCP's own stdio transport cancels the calls in flight when its input ends, reads lines of any length, and
waits at its end for a thread that reads standard input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastmcp import FastMCP
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from .config import Limits

logger = logging.getLogger("agentgate_oauth.gateway")

_CHUNK_BYTES = 65536
# Of requests that are not answered yet, for each call that may run.
_REQUESTS_PER_CALL = 4
_TOO_LONG = b""
_Outgoing = MemoryObjectSendStream[SessionMessage]


async def serve(server: FastMCP[Any], limits: Limits) -> None:
    """Serve until standard input ends, or SIGTERM or SIGINT arrives, and all that was asked is answered."""
    with _claimed_wire() as (source, target):
        async with _writer(target) as write, anyio.create_task_group() as tasks:
            connection = _Connection(limits, write)
            with _on_signals(connection.stop):
                tasks.start_soon(connection.read, source)
                tasks.start_soon(connection.end)
                await connection.run(server)
            tasks.cancel_scope.cancel()


class _Connection:
    """The one client. It knows which requests have no answer yet."""

    def __init__(self, limits: Limits, write: Callable[[str], Any]) -> None:
        self._limits = limits
        self._write = write
        self._unanswered: set[str] = set()
        self._stopping = asyncio.Event()
        self._answered = asyncio.Event()
        self._to_server, self._incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)

    def stop(self) -> None:
        """Take no more requests, and end when all are answered."""
        self._stopping.set()
        self._answered.set()

    async def run(self, server: FastMCP[Any]) -> None:
        outgoing, to_client = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, to_client)
            await server._mcp_server.run(
                cast(Any, self._incoming),
                cast(Any, outgoing),
                server._mcp_server.create_initialization_options(),
            )
            tasks.cancel_scope.cancel()  # the client may have stopped reading

    async def read(self, source: int) -> None:
        async for line in _lines(source, self._limits.message_bytes):
            await self._receive(line)
        self.stop()

    async def end(self) -> None:
        """Once stopping, wait for the answers, and let the server see the end of its input."""
        await self._stopping.wait()
        limits = self._limits
        with anyio.move_on_after(limits.start_seconds + limits.call_seconds + limits.approval_seconds):
            while self._unanswered:
                self._answered.clear()
                await self._answered.wait()
        await self._to_server.aclose()

    async def _receive(self, line: bytes) -> None:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            text = f"Not a message of JSON-RPC with at most {self._limits.message_bytes} bytes"
            return await self._refuse(None, PARSE_ERROR, text)
        if isinstance(message, JSONRPCRequest):
            if self._stopping.is_set():
                return await self._refuse(message.id, INVALID_REQUEST, "The gateway is stopping")
            if len(self._unanswered) >= _REQUESTS_PER_CALL * self._limits.calls:
                return await self._refuse(message.id, INVALID_REQUEST, "Too many requests at once")
            self._unanswered.add(str(message.id))
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._to_server.send(SessionMessage(message))
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))  # it gets no answer

    async def _refuse(self, request_id: Any, code: int, text: str) -> None:
        await self._send(JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=text)))

    async def _send_all(self, to_client: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with to_client:
            async for item in to_client:
                await self._send(item.message)

    async def _send(self, message: Any) -> None:
        await self._write(message.model_dump_json(by_alias=True, exclude_unset=True))
        if isinstance(message, (JSONRPCResponse, JSONRPCError)):
            self._settle(message.id)

    def _settle(self, request_id: Any) -> None:
        self._unanswered.discard(str(request_id))
        self._answered.set()


@contextmanager
def _claimed_wire() -> Iterator[tuple[int, int]]:
    """Yield descriptors of standard input and output that only this module has.

    What prints, a browser or an upstream gets the null device and standard error in their place.
    """
    source, target = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    try:
        yield source, target
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()  # what was printed may still be in its buffer, and would reach the client
        # The threads may still use their copies.
        os.dup2(source, 0)
        os.dup2(target, 1)


async def _lines(source: int, limit: int) -> AsyncIterator[bytes]:
    """Yield the lines that a thread reads. One of more than `limit` bytes is yielded as `_TOO_LONG`.

    The thread is a daemon, because nothing ends a read. It waits until each line was taken.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    def run() -> None:
        with suppress(RuntimeError, OSError):  # the loop has ended
            for line in _split(iter(lambda: os.read(source, _CHUNK_BYTES), b""), limit):
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(None), loop).result()

    threading.Thread(target=run, daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


def _split(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    held = bytearray()
    is_too_long = False
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            held += end
            if is_too_long or len(held) > limit:
                yield _TOO_LONG
            elif held.strip():
                yield bytes(held)
            held.clear()
            is_too_long = False
        held += rest
        if len(held) > limit:
            held.clear()
            is_too_long = True
    if held.strip():
        yield bytes(held)


@asynccontextmanager
async def _writer(target: int) -> AsyncIterator[Callable[[str], Any]]:
    """Yield a function that writes a line. A daemon thread waits for a client that does not read."""
    loop = asyncio.get_running_loop()
    lines: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()

    def run() -> None:
        with suppress(RuntimeError):  # the loop has ended
            while (item := lines.get()) is not None:
                data, written = item
                try:
                    _write_all(target, data)
                except OSError:
                    logger.debug("The client no longer reads")
                loop.call_soon_threadsafe(_finish, written)

    async def write(text: str) -> None:
        written = loop.create_future()
        lines.put((f"{text}\n".encode("utf-8", "replace"), written))
        await written

    threading.Thread(target=run, daemon=True).start()
    try:
        yield write
    finally:
        lines.put(None)


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _finish(written: asyncio.Future[None]) -> None:
    if not written.done():
        written.set_result(None)


@contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT. Windows ends programs without a signal."""
    signals = () if sys.platform == "win32" else (signal.SIGTERM, signal.SIGINT)
    loop = asyncio.get_running_loop()
    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)
