"""Read what the application left unread of a request's body.

granian closes a connection whose request was answered before its body was read. The client, still sending, can then
lose the answer: half of all refused POSTs of 64 KB did.
"""

from collections.abc import Callable, Iterable, Mapping
from threading import BoundedSemaphore
from typing import Any, Protocol

# Twice the largest body that is accepted. The connection of a longer one is closed.
MAX_DRAINED_BYTES = 4 * 1024 * 1024
# Of a process's eight threads. A read cannot be interrupted, so clients that stall hold these and no more.
MAX_DRAINS = 6
WAIT_SECONDS = 0.05
CHUNK_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 18

_drains = BoundedSemaphore(MAX_DRAINS)


class Stream(Protocol):
    """`wsgi.input`, as far as it is used."""

    def read(self, size: int = ..., /) -> bytes: ...
    def readline(self, size: int = ..., /) -> bytes: ...


class IncompleteBody(OSError):
    """The client sent less than it had declared. Django raises it again as `UnreadablePostError`."""


class DeclaredBody:
    """`wsgi.input` that knows how much of it is unread. Raises `IncompleteBody` instead of ending early."""

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
    """Return the WSGI application, with what it leaves of a request's body read and dropped before the answer."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        body = environ["wsgi.input"] = DeclaredBody(stream, declared_length(environ) or 0)
        answer = application(environ, start_response)
        # A client that waits for `100 Continue` has sent nothing yet and takes the answer instead.
        is_expected = body.unread and "HTTP_EXPECT" not in environ
        if (is_expected and body.unread <= MAX_DRAINED_BYTES) or "HTTP_TRANSFER_ENCODING" in environ:
            _drain(stream)
        return answer

    return wrapped


def declared_length(environ: Mapping[str, Any]) -> int | None:
    """Return the length of the body, 0 if there is none, None for what is not a length."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    is_length = declared.isascii() and declared.isdecimal() and len(declared) <= MAX_LENGTH_DIGITS
    return int(declared) if is_length else None


def _drain(stream: Stream) -> None:
    """Read to the end or the limit, unless too many threads do so already: then the connection is closed, undrained.

    Danger: this cannot be left to another thread. granian takes the body back when the application returns, and waits
    for a pending read with the interpreter's lock held.
    """
    if not _drains.acquire(timeout=WAIT_SECONDS):
        return
    try:
        for _ in range(MAX_DRAINED_BYTES // CHUNK_BYTES):
            if not stream.read(CHUNK_BYTES):
                return
    finally:
        _drains.release()
