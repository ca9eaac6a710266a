"""The bridge to Django: its WSGI application in a bounded thread pool."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from core.messages import DECIDE, MAY_PARK, Reply
from core.pool import Pool, PoolFull
from decisions.services import Ask
from server.front.bounds import FILE_CHUNK, MAX_STREAMS
from server.front.environ import File, make_environ
from server.front.exchange import BUSY, Announcement, Exchange
from server.front.headers import caller_in_turn
from server.front.parking import Parking, Watch, take_mark
from server.front.replies import WITHOUT_BODY, Headers, declared_length
from server.front.turns import FairPool

Application = Callable[[dict[str, Any], Any], Any]


class Bridge:
    """Answers requests by the WSGI application, in turn by caller. Refuses them with 503 when the queue is full.

    `ask` decides for the views, so that there is one queue for all decisions of the process. Requests to decide that
    the event loop leaves to Django are parsed in the threads of `deciding`.
    """

    def __init__(
        self,
        application: Application,
        pool: FairPool,
        port: str,
        watches: Mapping[str, Watch] | None = None,
        ask: Ask | None = None,
        deciding: FairPool | None = None,
    ) -> None:
        self.parking = Parking(self._answer_parked, watches)
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

    def answer(self, exchange: Exchange, *, decides: bool = False) -> None:
        """Answer in a thread of the pool, or of `deciding` if it is a request to decide."""
        caller = caller_in_turn(exchange.request)
        try:
            if decides and self._deciding:
                self._deciding.submit(caller, partial(self._work, exchange, ask=self._ask_apart), exchange=exchange)
            else:
                self._pool.submit(caller, partial(self._work, exchange), exchange=exchange)
        except PoolFull:
            exchange.refuse(BUSY)

    def expire(self) -> None:
        """End the requests that have waited for a thread for too long."""
        self._pool.expire()
        if self._deciding:
            self._deciding.expire()

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

        self._pool.submit(caller_in_turn(exchange.request), work)

    def _work(self, exchange: Exchange, *, may_park: bool = True, ask: Ask | None = None) -> Announcement:
        """Run the application in a thread, and return what to do in the event loop."""
        return exchange.run(partial(self._run, exchange, may_park, ask or self._ask))

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
            exchange.refuse("Too many long responses are being sent. Try again in a moment.")
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
            pool.stop()
            self._generators -= 1


def _apart(ask: Ask, deciding: FairPool) -> Ask:
    """Return what asks in a thread of `deciding`, and lets another one compute meanwhile."""
    return lambda questions: deciding.waiting_for(partial(ask, questions))


async def _pieces(pool: Pool | FairPool, response: Iterable[bytes]) -> AsyncIterator[bytes]:
    iterator = iter(response)
    while (piece := await pool.call(partial(next, iterator, None))) is not None:
        yield piece


def _is_streamed(response: Any, headers: Headers) -> bool:
    """Django's responses tell. What any other WSGI application returns is streamed unless it is complete."""
    if isinstance(response, File):
        length = declared_length(headers)
        return length is None or int(length) > FILE_CHUNK
    return bool(getattr(response, "streaming", not isinstance(response, (list, tuple))))


def _close(response: Iterable[bytes]) -> None:
    close = getattr(response, "close", None)
    if close:
        close()
