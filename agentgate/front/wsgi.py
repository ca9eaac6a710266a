"""The bridge to Django: its WSGI application in a bounded thread pool."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import lru_cache, partial
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from django.db import connections

from agentgate.front.bounds import FILE_CHUNK
from agentgate.front.exchange import Exchange
from agentgate.front.pool import Pool, PoolFull
from agentgate.front.refusals import refusal
from core.errors import Unavailable
from core.messages import Reply, Request

logger = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Any], Any]
Announcement = Callable[[], object]


class File:
    """A file that is read in pieces. WSGI calls this `wsgi.file_wrapper`."""

    streaming = True

    def __init__(self, file: Any, block_size: int = 0) -> None:
        self._file = file
        self.close = getattr(file, "close", lambda: None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self._file.read, FILE_CHUNK), b"")


class Bridge:
    """Answers requests by the WSGI application. Refuses them with 503 when the pool's queue is full."""

    def __init__(self, application: Application, pool: Pool, port: str) -> None:
        self._application = application
        self._pool = pool
        self._port = port
        self._streams: set[asyncio.Task[None]] = set()

    def answer(self, exchange: Exchange) -> None:
        try:
            self._pool.submit(partial(self._work, exchange))
        except PoolFull:
            self._refuse(exchange, "All workers are busy. Try again in a moment.")

    def _work(self, exchange: Exchange) -> Announcement:
        """Run the application in a thread, and return what to do in the event loop."""
        if exchange.is_gone:  # it disconnected while this waited
            return partial(exchange, Reply(499, ()))
        try:
            return self._run(exchange)
        except Exception:
            logger.exception("%s %s failed", exchange.request.method, exchange.request.path)
            return exchange.fail

    def _run(self, exchange: Exchange) -> Announcement:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [(status, headers)]

        response = self._application(make_environ(exchange.request, self._port), start_response)
        is_streamed = getattr(response, "streaming", True) and exchange.request.method != "HEAD"
        try:
            body = b"" if is_streamed else b"".join(response)
        finally:
            if not is_streamed:
                _close(response)
        ((status, headers),) = started
        reply = Reply(int(status[:3]), headers, body)
        return partial(self._stream, exchange, reply, response) if is_streamed else partial(exchange, reply)

    def _stream(self, exchange: Exchange, reply: Reply, response: Iterable[bytes]) -> None:
        chunks = self._file_chunks(response) if isinstance(response, File) else self._generated_chunks(response)
        task = asyncio.get_running_loop().create_task(exchange.stream(reply, chunks))
        self._streams.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._streams.discard)

    async def _file_chunks(self, file: File) -> AsyncIterator[bytes]:
        """Read each piece in any thread, so that a slow client holds none."""
        pieces = iter(file)
        try:
            while (piece := await self._pool.call(partial(next, pieces, None))) is not None:
                yield piece
        finally:
            await self._pool.call(file.close)

    async def _generated_chunks(self, response: Iterable[bytes]) -> AsyncIterator[bytes]:
        """Generate the pieces in one thread of their own, because they may come from a database cursor."""
        pool, pieces = Pool(threads=1, queue=0), iter(response)
        try:
            while (piece := await pool.call(partial(next, pieces, None))) is not None:
                yield piece
        finally:
            await pool.call(partial(_close, response))
            await pool.call(connections.close_all)
            pool.stop()

    def _refuse(self, exchange: Exchange, detail: str) -> None:
        request = exchange.request
        exchange(refusal(Unavailable(detail), request.path, request.headers.get("x-request-id", "")))


def make_environ(request: Request, port: str) -> dict[str, Any]:
    """Return the WSGI environment (PEP 3333)."""
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _decoded(request.path),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",  # the host of a request without a Host header
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{request.http_version}",
        "REMOTE_ADDR": request.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": File,
    }
    for name, value in request.headers.items():
        environ[_variable(name)] = value
    environ["CONTENT_LENGTH"] = str(len(request.body)) if request.body else environ.get("CONTENT_LENGTH", "")
    return environ


@lru_cache(512)
def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


def _decoded(path: str) -> str:
    """Return the decoded path, one character per byte."""
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else path


def _close(response: Iterable[bytes]) -> None:
    close = getattr(response, "close", None)
    if close:
        close()
