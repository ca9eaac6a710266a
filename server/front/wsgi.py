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

from approvals.selectors import still_waiting
from core.errors import Unavailable
from core.messages import DECIDE, MAY_PARK, Reply, Request
from decisions.services import Ask
from server.front.bounds import FILE_CHUNK, MAX_STREAMS
from server.front.exchange import Exchange
from server.front.parking import Parking, Watch, take_mark
from server.front.pool import Pool, PoolFull
from server.front.refusals import refusal
from server.front.replies import WITHOUT_BODY, Headers, declared_length
from server.front.turns import FewThreads

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
    """Answers requests by the WSGI application. Refuses them with 503 when the pool's queue is full.

    `ask` decides for the views, so that there is one queue for all decisions of the process. Requests to decide that
    the event loop leaves to Django are parsed in the threads of `deciding`.
    """

    def __init__(
        self,
        application: Application,
        pool: Pool,
        port: str,
        watch: Watch = still_waiting,
        ask: Ask | None = None,
        deciding: FewThreads | None = None,
    ) -> None:
        self.parking = Parking(self._answer_parked, watch)
        self._application = application
        self._pool = pool
        self._port = port
        self._ask = ask
        self._deciding = deciding
        self._ask_apart = _apart(ask, deciding) if ask and deciding else None
        self._generators = 0
        self._streams: set[asyncio.Task[None]] = set()

    @property
    def decisions_waiting(self) -> int:
        """The number of requests to decide that wait for a thread."""
        return self._deciding.waiting if self._deciding else 0

    def answer(self, exchange: Exchange, caller: str | None = None) -> None:
        """Answer in a thread of the pool. Of a request to decide, `caller` says whose turn it takes."""
        try:
            if caller is not None and self._deciding:
                self._deciding.submit(caller, partial(self._work, exchange, ask=self._ask_apart))
            else:
                self._pool.submit(partial(self._work, exchange))
        except PoolFull:
            self._refuse(exchange, "All workers are busy. Try again in a moment.")

    def _answer_parked(self, exchange: Exchange, finished: Callable[[], None]) -> None:
        """Answer a request that was parked, without parking it again. Raises `PoolFull`."""

        def work() -> Announcement:
            announce = self._work(exchange, may_park=False)

            def finish() -> None:
                try:
                    announce()
                finally:
                    finished()

            return finish

        self._pool.submit(work)

    def _work(self, exchange: Exchange, *, may_park: bool = True, ask: Ask | None = None) -> Announcement:
        """Run the application in a thread, and return what to do in the event loop."""
        if exchange.is_gone:  # it disconnected while this waited
            return partial(exchange, Reply(499, ()))
        try:
            return self._run(exchange, may_park, ask or self._ask)
        except Exception:
            request, extra = exchange.request, {"request_id": exchange.request_id}
            logger.exception("%s %s failed", request.method, request.path, extra=extra)
            return exchange.fail

    def _run(self, exchange: Exchange, may_park: bool, ask: Ask | None) -> Announcement:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [(status, headers)]

        environ = make_environ(exchange.request, self._port) | {MAY_PARK: may_park, DECIDE: ask}
        response = self._application(environ, start_response)
        try:
            ((status, all_headers),) = started
            mark, headers = take_mark(all_headers)
            reply = Reply(int(status[:3]), headers)
            is_streamed = _is_streamed(response, headers)
            if is_streamed and exchange.request.method != "HEAD" and reply.status not in WITHOUT_BODY:
                return partial(self._stream, exchange, reply, response)
            body = b"" if is_streamed else b"".join(response)
        except Exception:
            _close(response)
            raise
        _close(response)
        reply = Reply(reply.status, headers, body)
        return partial(self._park_or_answer, exchange, mark, reply) if mark else partial(exchange, reply)

    def _park_or_answer(self, exchange: Exchange, mark: str, reply: Reply) -> None:
        if exchange.is_gone or not self.parking.park(exchange, mark):
            exchange(reply)

    def _stream(self, exchange: Exchange, reply: Reply, response: Iterable[bytes]) -> None:
        if not isinstance(response, File) and self._generators >= MAX_STREAMS:
            self._pool.call(partial(_close, response))
            self._refuse(exchange, "Too many long responses are being sent. Try again in a moment.")
            return
        send = self._send_file if isinstance(response, File) else self._send_generated
        task = asyncio.get_running_loop().create_task(send(exchange, reply, response))
        self._streams.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._streams.discard)

    async def _send_file(self, exchange: Exchange, reply: Reply, file: Any) -> None:
        """Read each piece in any thread, so that a slow client holds none."""
        try:
            await exchange.stream(reply, _pieces(self._pool, file))
        finally:
            await self._pool.call(file.close)

    async def _send_generated(self, exchange: Exchange, reply: Reply, response: Any) -> None:
        """Generate the pieces in one thread of their own, because they may come from a database cursor."""
        self._generators += 1
        pool = Pool(threads=1, queue=0)
        try:
            await exchange.stream(reply, _pieces(pool, response))
        finally:
            await pool.call(partial(_close, response))
            await pool.call(connections.close_all)
            pool.stop()
            self._generators -= 1

    def _refuse(self, exchange: Exchange, detail: str) -> None:
        request = exchange.request
        exchange(refusal(Unavailable(detail), request.path, request.headers.get("x-request-id", "")))


def _apart(ask: Ask, deciding: FewThreads) -> Ask:
    """Return what asks in a thread of `deciding`, and lets another one compute meanwhile."""
    return lambda questions: deciding.waiting_for(partial(ask, questions))


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


async def _pieces(pool: Pool, response: Iterable[bytes]) -> AsyncIterator[bytes]:
    iterator = iter(response)
    while (piece := await pool.call(partial(next, iterator, None))) is not None:
        yield piece


def _is_streamed(response: Any, headers: Headers) -> bool:
    """Django's responses tell. What any other WSGI application returns is streamed unless it is complete."""
    if isinstance(response, File):
        length = declared_length(headers)
        return length is None or int(length) > FILE_CHUNK
    return bool(getattr(response, "streaming", not isinstance(response, (list, tuple))))


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
