"""One connection: reads requests within bounds, has each one answered, and writes the replies.

It has the interface that uvicorn expects of a protocol: the constructor, `shutdown` and `server_state.connections`.
One request is answered at a time, so that each sees the effect of the one before it. Further input waits.
"""

import asyncio
import logging
from enum import Enum, auto
from typing import Any

from api.parsers import MalformedRequest, PayloadTooLarge
from api.problems import RequestTimeout
from core.errors import DomainError, Unavailable
from core.messages import Request
from limits.throttle import address_group
from server.front import bounds
from server.front.exchange import Exchange
from server.front.failures import refusal
from server.front.front import Front
from server.front.heads import Head
from server.front.reader import Reader
from server.front.replies import encode

logger = logging.getLogger(__name__)

NEVER = float("inf")
UNKNOWN_HEAD = Head("", "", "", {}, "1.1", 0, 0, keeps_alive=False, expects_continue=False, memo={})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    ANSWERING = auto()
    SKIPPING = auto()  # discards the rest of a refused body, then goes on
    CLOSING = auto()  # has written the last reply, and discards input until the client closes


class Connection(asyncio.Protocol):
    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self.exchange: Exchange | None = None
        """The request that is being answered."""
        self.unsent = 0
        """Bytes that the client had not read at the last tick."""
        self.is_stopping = False
        self.waiting_since = NEVER
        """When the client began to keep the process waiting in this phase, in the event loop's time."""
        self._front: Front = app_state["front"]
        self._loop = _loop or asyncio.get_running_loop()
        self._all = (server_state.connections, self._front.connections)
        self._reader = Reader()
        self._phase = Phase.IDLE
        self._deadline = self._write_deadline = self._first_head_deadline = NEVER
        self._drained: asyncio.Future[None] | None = None
        self._held = self._discarded = 0
        self._is_advancing = self._is_reading_paused = self._is_half_closed = False

    # Called by the transport and by uvicorn.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self.peer: str = (transport.get_extra_info("peername") or ("",))[0]
        self.address = address_group(self.peer)
        for connections in self._all:
            connections.add(self)
        self._start(Phase.IDLE, bounds.HEAD_SECONDS)
        self._first_head_deadline = self._deadline
        if len(self._front.connections) > 2 * bounds.MAX_CONNECTIONS:
            self.abort()
        elif not self._front.connections.make_room(self):
            self._refuse(Unavailable("Too many connections. Try again in a moment."))

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.CLOSING:
            self._discard(len(data))
            return
        self._reader.feed(data)
        if not self._is_busy:
            self._advance()
        elif self._reader.held > bounds.MAX_AHEAD:
            self._is_reading_paused = True
            self._transport.pause_reading()
            self._count_held()
            if self._front.held > bounds.MAX_HELD:
                self.abort()

    def eof_received(self) -> bool:
        """Answer the complete requests that the client has sent, even after it has closed its side."""
        self._is_half_closed = True
        # A client that has disconnected looks the same, so do not let it wait.
        self._front.parking.release(self.exchange)
        if self._phase in (Phase.HEAD, Phase.BODY):
            self._refuse(MalformedRequest("The request ended before its declared length."))
        return self._is_busy

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self.exchange, self._phase, self.unsent = None, Phase.CLOSING, 0
        self._reader.clear()
        self._count_held()
        self._settle_drained()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self._settle_drained()
        self._advance()

    def shutdown(self) -> None:
        """Answer what has begun to arrive. An idle connection gets a moment, because a request may be on its way."""
        self.is_stopping = True
        self._front.parking.release(self.exchange)
        if self._phase is Phase.IDLE:
            self._deadline = min(self._deadline, self._loop.time() + bounds.STOPPING_IDLE_SECONDS)

    # Called by the front and by the exchange.

    @property
    def is_waiting(self) -> bool:
        """Whether the process waits for the client: for a complete request, or until it reads its reply."""
        return self._phase is not Phase.ANSWERING or self._drained is not None

    @property
    def has_unread(self) -> bool:
        return bool(self._transport.get_write_buffer_size())

    def evict(self) -> None:
        """Disconnect the client now, because another one needs the place."""
        self._leave()
        self.abort()

    @property
    def date(self) -> str:
        return self._front.date

    def expire(self, now: float) -> None:
        """End the connection or its phase if its time is over. Whenever the client reads, it gets more time to read."""
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or unsent != self.unsent:
            self.unsent, self._write_deadline = unsent, now + bounds.WRITE_SECONDS
        if now >= self._write_deadline:
            self.abort()
        elif now >= self._deadline:
            self._end_phase()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has read enough of what was written, or has disconnected."""
        if self._drained is not None:
            await self._drained

    def finish(self, data: bytes, *, keeps_alive: bool) -> None:
        """Write the end of the reply, and go on with the next request or close."""
        self._transport.write(data)
        self.exchange = None
        if not keeps_alive:
            self._close()
            return
        self._await_request()
        if self._reader.held or self._is_half_closed or self._is_reading_paused:
            self._advance()

    def release(self, size: int) -> None:
        """Count a request's body, which is `size` bytes long, as no longer in memory."""
        self._front.held -= size

    def abort(self) -> None:
        self._transport.abort()

    @property
    def _is_busy(self) -> bool:
        """Whether further requests must wait: one is being answered, or the client does not read its replies."""
        return self._phase is Phase.ANSWERING or (self._drained is not None and self._phase is not Phase.CLOSING)

    def _leave(self) -> None:
        for connections in self._all:
            connections.discard(self)

    def _settle_drained(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # Reading.

    def _advance(self) -> None:
        """Take requests from the input until one is being answered or more input is needed."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._drained is None and self._phase not in (Phase.ANSWERING, Phase.CLOSING) and self._read():
                pass
        except DomainError as error:
            self._refuse(error)
        finally:
            self._is_advancing = False
        self._read_on()

    def _read(self) -> bool:
        """Take one step. Return False if more input is needed. Raises a `DomainError` for a request to refuse."""
        reader = self._reader
        if self._phase is Phase.SKIPPING:
            if reader.is_skipping:
                return False
            self._await_request()
        head = reader.read_head() if reader.held else None
        if head is None:
            if reader.held:
                self._await_head()
            return False
        self._first_head_deadline = NEVER
        if head.length > head.limit:
            self._refuse_body(head)
            return True
        body = reader.take_body(head)
        if body is None:
            self._await_body(head)
            return False
        self._answer(head, body)
        return True

    def _await_request(self) -> None:
        seconds = bounds.STOPPING_IDLE_SECONDS if self.is_stopping else bounds.IDLE_SECONDS
        self._start(Phase.IDLE, seconds)

    def _await_head(self) -> None:
        """Start the time of a head with its first byte, or of a connection's first head when the client connected."""
        self._enter(Phase.HEAD, bounds.HEAD_SECONDS)
        self._deadline = min(self._deadline, self._first_head_deadline)

    def _await_body(self, head: Head) -> None:
        self._count_held()
        if self._front.held > bounds.MAX_HELD:
            raise Unavailable("Too many request bodies are in memory. Try again in a moment.")
        if self._phase is not Phase.BODY and head.expects_continue and self._reader.is_body_missing:
            self._transport.write(CONTINUE)
        self._enter(Phase.BODY, bounds.BODY_SECONDS)

    def _answer(self, head: Head, body: bytes) -> None:
        request = Request(
            head.method, head.path, head.query, head.headers, body, self.peer, "http", head.http_version, head.memo
        )
        exchange = self.exchange = Exchange(request, head, self)
        self._phase, self._deadline = Phase.ANSWERING, NEVER
        self._front.held += len(body)
        try:
            self._front.answer(exchange)
        except Exception:
            logger.exception("%s %s failed", head.method, head.path, extra={"request_id": exchange.request_id})
            exchange.fail()

    def _enter(self, phase: Phase, seconds: float) -> None:
        """Enter a phase and start its clock, unless the connection is in it already."""
        if self._phase is not phase:
            self._start(phase, seconds)

    def _start(self, phase: Phase, seconds: float) -> None:
        self._phase, self.waiting_since = phase, self._loop.time()
        self._deadline = self.waiting_since + seconds

    def _read_on(self) -> None:
        """Go on reading after the input in memory has been used."""
        self._count_held()
        if self._phase in (Phase.ANSWERING, Phase.CLOSING) or self._drained is not None:
            return
        if self._is_half_closed:
            self._transport.close()
        elif self._is_reading_paused:
            self._is_reading_paused = False
            self._transport.resume_reading()

    def _count_held(self) -> None:
        self._front.held += self._reader.held - self._held
        self._held = self._reader.held

    # Refusing and closing.

    def _refuse(self, error: DomainError) -> None:
        """Answer and close: where the next request starts is unknown, or this one may never end."""
        head = self._reader.head or UNKNOWN_HEAD
        self._transport.write(self._encode_refusal(error, head, keeps_alive=False))
        self._close()

    def _refuse_body(self, head: Head) -> None:
        """Answer 413. The connection goes on behind a body that is short enough to be read and discarded."""
        error = PayloadTooLarge(f"The body must be at most {head.limit} bytes here.")
        keeps_alive = head.keeps_alive and not head.expects_continue and not self.is_stopping
        if not keeps_alive or head.length > bounds.MAX_DISCARDED:
            raise error
        self._transport.write(self._encode_refusal(error, head, keeps_alive=True))
        self._reader.skip_body(head)
        self._enter(Phase.SKIPPING, bounds.BODY_SECONDS)

    def _encode_refusal(self, error: DomainError, head: Head, *, keeps_alive: bool) -> bytes:
        reply = refusal(error, head.path or self._reader.target, head.headers)
        return encode(reply, head, self.date, keeps_alive=keeps_alive)

    def _close(self) -> None:
        """Close after the last reply. Input is discarded until the client closes: unread input would reset it."""
        self._reader.clear()
        self._count_held()
        self._start(Phase.CLOSING, bounds.DISCARD_SECONDS)
        if self._is_half_closed:
            self._transport.close()
            return
        self._transport.write_eof()
        if self._is_reading_paused:
            self._is_reading_paused = False
            self._transport.resume_reading()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > bounds.MAX_DISCARDED:
            self._transport.close()

    def _end_phase(self) -> None:
        """The time of this phase is over."""
        if self._phase in (Phase.HEAD, Phase.BODY):
            self._refuse(RequestTimeout(f"The {self._phase.name.lower()} did not arrive in time."))
        elif self._phase is Phase.CLOSING and not self.unsent:
            self.abort()
        elif self._phase in (Phase.IDLE, Phase.SKIPPING) and not self._is_busy:
            self._transport.close()
