"""One request and its answer. The answer is harmless after the client has disconnected."""

import logging
import time
from collections.abc import AsyncIterator, Callable

from api.problems import InternalError, problem_reply
from core import timeouts
from core.errors import Unavailable
from core.ids import choose_request_id
from core.messages import Reply, Request
from server.front.client import Client
from server.front.failures import refusal
from server.front.heads import Head
from server.front.replies import (
    CHUNKED,
    LAST_CHUNK,
    UnsafeHeader,
    declared_length,
    encode,
    encode_chunk,
    encode_head,
)

logger = logging.getLogger(__name__)

Announcement = Callable[[], object]
BUSY = "All workers are busy. Try again in a moment."


class Exchange:
    """Call it with a complete reply, or await `stream`: one of the two, once, in the event loop's thread."""

    __slots__ = ("_connection", "_head", "_is_answered", "_request_id", "arrived", "request")

    def __init__(self, request: Request, head: Head, connection: Client) -> None:
        self.request = request
        self._head = head
        self._connection = connection
        self._is_answered = False
        self._request_id = ""
        self.arrived = time.monotonic()
        """When it began to wait for a thread."""

    @property
    def request_id(self) -> str:
        """The id of the request: the caller's own, or one that is chosen when it is first needed."""
        if not self._request_id:
            self._request_id = choose_request_id(self.request.headers.get("x-request-id", ""))
        return self._request_id

    @property
    def is_gone(self) -> bool:
        """Whether the client has disconnected."""
        return self._connection.exchange is not self

    @property
    def is_over(self) -> bool:
        """Whether it needs no thread any more: the client has disconnected, or it has waited for one for too long."""
        return self.is_gone or timeouts.has_waited_too_long(self.arrived)

    @property
    def is_stopping(self) -> bool:
        """Whether the connection must be answered soon, because the process stops."""
        return self._connection.is_stopping

    def __call__(self, reply: Reply) -> None:
        if self._begin():
            self._send(reply)

    def run(self, work: Callable[[], Announcement]) -> Announcement:
        """Do the work in a thread, unless it is over. Return what to do in the event loop."""
        if self.is_over:
            return self.end
        try:
            with timeouts.answering(self.arrived):
                return work()
        except Exception:
            extra = {"request_id": self.request_id}
            logger.exception("%s %s failed", self.request.method, self.request.path, extra=extra)
            return self.fail

    def end(self) -> None:
        """End an exchange that is over: answer 503, unless nobody waits for it."""
        if self.is_gone:
            self(Reply(499, ()))
        else:
            self.refuse(BUSY)

    def refuse(self, detail: str) -> None:
        """Answer 503."""
        request = self.request
        self(refusal(Unavailable(detail), request.path, request.headers))

    def fail(self) -> None:
        """Answer 500. The caller has logged why."""
        self(self._internal_error())

    async def stream(self, reply: Reply, pieces: AsyncIterator[bytes]) -> None:
        """Send the head of `reply` and then `pieces`, each when the client has read enough of those before it."""
        if not self._begin():
            return
        framing, keeps_alive = self._frame(reply)
        try:
            head = encode_head(reply, self._head, self._connection.date, framing, keeps_alive=keeps_alive)
        except (UnsafeHeader, UnicodeEncodeError) as error:
            self._send_error(error)
            return
        self._connection.write(head)
        try:
            await self._send_pieces(declared_length(reply.headers), pieces, is_chunked=framing == CHUNKED)
        except Exception:
            extra = {"request_id": self.request_id}
            logger.exception("%s %s: the response broke off", self.request.method, self.request.path, extra=extra)
            self._connection.abort()
        else:
            if not self.is_gone:
                self._connection.finish(LAST_CHUNK if framing == CHUNKED else b"", keeps_alive=keeps_alive)

    def _send(self, reply: Reply) -> None:
        keeps_alive = self._keeps_alive()
        try:
            data = encode(reply, self._head, self._connection.date, keeps_alive=keeps_alive)
        except (UnsafeHeader, UnicodeEncodeError) as error:
            self._send_error(error)
            return
        self._connection.finish(data, keeps_alive=keeps_alive)

    def _send_error(self, error: ValueError) -> None:
        request = self.request
        extra = {"request_id": self.request_id}
        logger.error("%s %s: a response header is invalid: %s", request.method, request.path, error, extra=extra)
        self._send(self._internal_error())

    def _frame(self, reply: Reply) -> tuple[str, bool]:
        """Return the header line that says where the body ends, and whether the connection can be used again."""
        length = declared_length(reply.headers)
        if length is not None:
            return f"Content-Length: {length}\r\n", self._keeps_alive()
        return (CHUNKED, self._keeps_alive()) if self._head.http_version == "1.1" else ("", False)

    async def _send_pieces(self, length: str | None, pieces: AsyncIterator[bytes], *, is_chunked: bool) -> None:
        sent = 0
        async for piece in pieces:
            if piece:
                sent += len(piece)
                self._connection.write(encode_chunk(piece) if is_chunked else piece)
                await self._connection.drained()
            if self.is_gone:
                return
        if length is not None and sent != int(length):
            raise ValueError(f"The response declares {length} bytes and has {sent}.")

    def _begin(self) -> bool:
        """Return whether the answer can still be sent. A second answer is ignored."""
        if self._is_answered:
            return False
        self._is_answered = True
        self._connection.release(len(self.request.body))
        return not self.is_gone

    def _keeps_alive(self) -> bool:
        return self._head.keeps_alive and not self._connection.is_stopping

    def _internal_error(self) -> Reply:
        return problem_reply(InternalError(InternalError.remedy), self.request_id)
