"""Bound a response as a whole: its size, and the time until its end.

httpx bounds the time of each read, so a response in small pieces could take forever. It keeps a body of any
size.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

MAX_BYTES = 8 * 1024 * 1024
_current = threading.local()  # `ends`: when the request of this thread must have its response


def whole_seconds(request: httpx.Request) -> float | None:
    """Return the seconds within which the response must be complete. None if a step may take forever."""
    timeout = request.extensions["timeout"]
    connect, read = timeout["connect"], timeout["read"]
    return None if connect is None or read is None else connect + read


@contextmanager
def ending_after(seconds: float | None) -> Iterator[None]:
    """Bound all that the clients of `bound_reads` read in this block, together."""
    _current.ends = None if seconds is None else time.monotonic() + seconds
    try:
        yield
    finally:
        _current.ends = None


def bound_reads(client: httpx.Client) -> None:
    """Let the client's reads heed `ending_after`, also those of a response's head."""
    # httpx does not take a network backend, although httpcore does.
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)


class Body:
    """The body of a response that may be read. Raises httpx's errors for another."""

    def __init__(self, response: httpx.Response) -> None:
        # A few bytes can become gigabytes, so none was asked for.
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise httpx.DecodingError("it is compressed")
        self._response = response
        self._content = bytearray()

    def add(self, chunk: bytes) -> None:
        self._content += chunk
        if len(self._content) > MAX_BYTES:
            raise httpx.DecodingError(f"it has more than {MAX_BYTES:,} bytes")
        _require_time()

    def complete(self) -> httpx.Response:
        """Return the response with its content."""
        response = self._response
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            content=bytes(self._content),
            request=response.request,
        )


def read_bounded(response: httpx.Response) -> httpx.Response:
    """Return the response with its content. Raises `httpx.RequestError`."""
    body = Body(response)
    for chunk in response.iter_bytes():
        body.add(chunk)
    return body.complete()


def _require_time(timeout: float | None = None) -> float | None:
    """Return how long the next step may take. Raises `httpcore.ReadTimeout` if there is no time left."""
    ends = getattr(_current, "ends", None)
    if ends is None:
        return timeout
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the response did not end in time")
    return float(left if timeout is None else min(left, timeout))


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_tcp(*args, **options))

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_unix_socket(*args, **options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _require_time(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _require_time(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*args, **options))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
