"""Read the part of a request's body that the application left unread.

granian closes the connection when a response is sent before the body was read. The client is still sending and can
lose the response: half of all refused POSTs of 64 KB did.
"""

from collections.abc import Callable, Iterable, Mapping
from threading import BoundedSemaphore
from typing import Any, Protocol

# Twice the largest body that is accepted. After a longer one, the connection is closed.
MAX_DRAINED_BYTES = 4 * 1024 * 1024
# Of the eight threads of a process, stalled clients can block at most this many. A read cannot be interrupted.
MAX_DRAINS = 6
WAIT_SECONDS = 0.05
CHUNK_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 18

_drains = BoundedSemaphore(MAX_DRAINS)


class Stream(Protocol):
    """The methods of `wsgi.input` that are used."""

    def read(self, size: int = ..., /) -> bytes: ...
    def readline(self, size: int = ..., /) -> bytes: ...


class IncompleteBody(OSError):
    """The client sent less than it declared. Django turns this into `UnreadablePostError`."""


class DeclaredBody:
    """A `wsgi.input` that knows how many bytes are unread. Raises `IncompleteBody` if the body ends early."""

    def __init__(self, stream: Stream, length: int) -> None:
        self._stream = stream
        self.unread = length

    def read(self, size: int = -1) -> bytes:
        wanted = self.unread if size < 0 else min(size, self.unread)
        return self._count(self._stream.read(wanted), wanted) if wanted else b""

    def readline(self, size: int = -1) -> bytes:
        wanted = self.unread if size < 0 else min(size, self.unread)
        return self._count(self._stream.readline(wanted), 1) if wanted else b""

    def _count(self, data: bytes, expected: int) -> bytes:
        self.unread -= len(data)
        if len(data) < expected:
            self.unread = 0
            raise IncompleteBody("The body ended before its declared length.")
        return data


def drained(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Wrap a WSGI application: read and discard the rest of the request's body before the response is sent."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        body = environ["wsgi.input"] = DeclaredBody(stream, declared_length(environ) or 0)
        answer = application(environ, start_response)
        # A client that waits for `100 Continue` has sent no body yet and accepts the response instead.
        is_expected = body.unread and "HTTP_EXPECT" not in environ
        if (is_expected and body.unread <= MAX_DRAINED_BYTES) or "HTTP_TRANSFER_ENCODING" in environ:
            _drain(stream)
        return answer

    return wrapped


def declared_length(environ: Mapping[str, Any]) -> int | None:
    """Return the declared length, 0 if there is no body, None if the header is not a number."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    is_length = declared.isascii() and declared.isdecimal() and len(declared) <= MAX_LENGTH_DIGITS
    return int(declared) if is_length else None


def _drain(stream: Stream) -> None:
    """Read to the end or to the limit. If too many threads already do so, give up, and granian closes the connection.

    Danger: do not move this to another thread. When the application returns, granian takes the body back and waits for
    a pending read while it holds the interpreter's lock.
    """
    if not _drains.acquire(timeout=WAIT_SECONDS):
        return
    try:
        for _ in range(MAX_DRAINED_BYTES // CHUNK_BYTES):
            if not stream.read(CHUNK_BYTES):
                return
    finally:
        _drains.release()
