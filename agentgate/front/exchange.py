"""One request in hand and its answer. The answer is harmless after the client has disconnected."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from agentgate.front.heads import Head
from agentgate.front.replies import (
    CHUNKED,
    LAST_CHUNK,
    UnsafeHeader,
    declared_length,
    encode,
    encode_chunk,
    encode_head,
)
from api.problems import InternalError, problem_reply
from core.ids import choose_request_id
from core.messages import Reply, Request

if TYPE_CHECKING:
    from agentgate.front.connection import Connection

logger = logging.getLogger(__name__)


class Exchange:
    """Call it with a complete reply, or await `stream`: one of the two, once, in the event loop's thread."""

    __slots__ = ("_connection", "_head", "_is_answered", "request")

    def __init__(self, request: Request, head: Head, connection: "Connection") -> None:
        self.request = request
        self._head = head
        self._connection = connection
        self._is_answered = False

    @property
    def is_gone(self) -> bool:
        """Whether the client has disconnected."""
        return self._connection.exchange is not self

    def __call__(self, reply: Reply) -> None:
        if not self._begin():
            return
        keeps_alive = self._keeps_alive()
        try:
            data = encode(reply, self._head, self._connection.date, keeps_alive=keeps_alive)
        except (UnsafeHeader, UnicodeEncodeError):
            logger.exception("%s %s: the reply cannot be sent", self.request.method, self.request.path)
            data = encode(self._internal_error(), self._head, self._connection.date, keeps_alive=keeps_alive)
        self._connection.finish(data, keeps_alive=keeps_alive)

    def fail(self) -> None:
        """Answer 500. The caller has logged why."""
        self(self._internal_error())

    async def stream(self, reply: Reply, chunks: AsyncIterator[bytes]) -> None:
        """Send the head of `reply` and then `chunks`, each when the client has read enough of those before it."""
        async with aclosing(chunks):  # type: ignore[type-var]  # generators, which close a file or a cursor
            if not self._begin():
                return
            try:
                await self._send(reply, chunks)
            except Exception:
                logger.exception("%s %s: the response broke off", self.request.method, self.request.path)
                self._connection.abort()

    async def _send(self, reply: Reply, chunks: AsyncIterator[bytes]) -> None:
        length = declared_length(reply.headers)
        is_chunked = length is None and self._head.http_version == "1.1"
        keeps_alive = self._keeps_alive() and (is_chunked or length is not None)
        framing = CHUNKED if is_chunked else f"Content-Length: {length}\r\n" if length else ""
        connection = self._connection
        connection.write(encode_head(reply, self._head, connection.date, framing, keeps_alive=keeps_alive))
        sent = 0
        async for chunk in chunks:
            if chunk:
                sent += len(chunk)
                connection.write(encode_chunk(chunk) if is_chunked else chunk)
                await connection.drained()
            if self.is_gone:
                return
        if length is not None and sent != int(length):
            raise ValueError(f"The response declares {length} bytes and has {sent}.")
        connection.finish(LAST_CHUNK if is_chunked else b"", keeps_alive=keeps_alive)

    def _begin(self) -> bool:
        """Return whether the answer can still be sent. Whoever answers twice is ignored."""
        if self._is_answered:
            return False
        self._is_answered = True
        self._connection.release(len(self.request.body))
        return not self.is_gone

    def _keeps_alive(self) -> bool:
        return self._head.keeps_alive and not self._connection.is_stopping

    def _internal_error(self) -> Reply:
        request_id = choose_request_id(self.request.headers.get("x-request-id", ""))
        return problem_reply(InternalError(InternalError.remedy), request_id)
