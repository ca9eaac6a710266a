"""Asks the same request twice: Django's view by the test client, and the front by a real connection.

The front is the server's own: its connection, its hot paths, its bridge to Django. It runs in a thread with an event
loop. `Both` also tells which of them answered, so that a test notices if the hot paths leave everything to Django.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client

from core.messages import Reply, Request
from server.front import headers
from server.front.connection import Connection
from server.front.exchange import Exchange
from server.front.front import Front
from server.front.hot import Done, HotPaths
from server.front.issuing import Issuing
from server.front.turns import FairPool
from server.front.wsgi import Bridge

EVENT_LOOP, THREAD, DJANGO = "event loop", "thread", "Django"
TIMEOUT = 20
# The front's own, and the length, which is compared with the body.
FRAMING = frozenset(("connection", "date", "content-length"))
NEW_IDS = re.compile(rb"\b(log|req)_[0-9a-f]{32}")
NEW_TOKENS = re.compile(rb"\b(eyJ|agr_)[\w.-]+")
LAG = re.compile(rb'(?<="lagSeconds":)[0-9.]+')


@dataclass(frozen=True)
class Sent:
    """A request. `peer` is the loopback address from which it is sent."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"

    def having(self, **headers: str) -> "Sent":
        """Return the request with these headers too. `_` in a name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def at(self, peer: str) -> "Sent":
        return replace(self, peer=peer)


class Answer(NamedTuple):
    """A response without what differs between any two: new ids are masked, and the headers are in order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Both:
    """Asks both. `log_ids` are the ids of the log entries that the last two answers name: Django's, and the front's."""

    def __init__(self, front: "FrontThread") -> None:
        self.front = front
        self.log_ids: list[list[str]] = []

    def ask(self, sent: Sent, *, by: str = EVENT_LOOP) -> Answer:
        """Return the answer after checking that both are equal, and that the front's was given `by` this one."""
        return self.ask_each(sent, sent, by=by)

    def ask_each(self, sent_to_django: Sent, sent: Sent, *, by: str) -> Answer:
        """Ask each another request, such as with a code of its own, that both must answer alike."""
        of_django = ask_django(sent_to_django)
        of_front, who = self.front.ask(sent)
        self.log_ids = [re.findall("log_[0-9a-f]{32}", str(each)) for each in (of_django, of_front)]
        assert masked(of_front) == masked(of_django), f"{sent}\nfront:  {of_front}\nDjango: {of_django}"
        assert who == by, f"{sent} was answered by {who}"
        return masked(of_front)


class FrontThread:
    """A front in a thread. It uses Django's default database, whose rows must be committed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answered: list[str] = []
        self.port = 0

    def ask(self, sent: Sent) -> tuple[Answer, str]:
        """Return the answer, and who gave it."""
        self._answered.clear()
        with self.connect(sent) as client:
            answer = parse(b"".join(iter(lambda: client.recv(65536), b"")), sent.method)
        (who,) = self._answered
        return answer, who

    def connect(self, sent: Sent) -> socket.socket:
        """Return a connection on which the request has been sent."""
        client = socket.create_connection(("127.0.0.1", self.port), TIMEOUT, source_address=(sent.peer, 0))
        client.sendall(raw(sent))
        return client

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    async def open(self) -> None:
        self._pool = FairPool(threads=1, computing=1, most=16, each=1)
        self.hot = Watched(self._answered.append)
        await self.hot.start()
        self.issuing = WatchedIssuing(self._answered.append)
        bridge = Bridge(WSGIHandler(), self._pool, "80", ask=self.hot.decide)
        front = self._front = Front(self.hot, self.issuing, bridge, self._pool)
        make = lambda: Connection(None, SimpleNamespace(connections=set()), {"front": front})  # noqa: E731
        self._server = await self._loop.create_server(make, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def tick(self) -> None:
        self._front.tick(self._loop.time())

    async def close(self) -> None:
        self._server.close()
        await self.hot.stop()
        self._pool.stop()
        self.issuing.stop()


class Watched(HotPaths):
    """The hot paths. They report who answers each request."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__()
        self._report = report

    def answer(self, request: Request, done: Done) -> bool:
        def answered(reply: Reply) -> None:
            self._report(EVENT_LOOP)
            done(reply)

        return super().answer(request, answered)


class WatchedIssuing(Issuing):
    """The threads for tokens, which are asked after the event loop. They report who answers each request."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__()
        self._report = report

    def answer(self, exchange: Exchange) -> bool:
        is_taken = super().answer(exchange)
        self._report(THREAD if is_taken else DJANGO)
        return is_taken


@contextmanager
def running_front() -> Iterator[FrontThread]:
    """Run a front. It reads the settings when it starts, and has not seen any request or key."""
    for known in (headers._address_of, headers.is_proxy, headers._is_host_allowed):
        known.cache_clear()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    front = FrontThread(loop)
    try:
        front.run(front.open())
        yield front
    finally:
        front.run(front.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ask_django(sent: Sent) -> Answer:
    """Send the request with Django's test client, which calls the view behind all middleware."""
    named = {name: value for name, value in sent.headers.items() if name.lower() != "content-type"}
    media_type = {name.lower(): value for name, value in sent.headers.items()}.get("content-type", "")
    client = Client(raise_request_exception=False, REMOTE_ADDR=sent.peer)
    extra = {"CONTENT_TYPE": media_type, "QUERY_STRING": sent.target.partition("?")[2]}
    response = client.generic(sent.method, sent.target, sent.body, media_type, headers=named, **extra)
    cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return compared(sent.method, response.status_code, [*response.items(), *cookies], response.content)


def raw(sent: Sent) -> bytes:
    lines = [f"{sent.method} {quote(sent.target, safe='/%?&=:+,;')} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in sent.headers.items()]
    if sent.body or sent.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(sent.body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + sent.body


def parse(data: bytes, method: str) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return compared(method, int(status.split()[1]), pairs, body)


def compared(method: str, status: int, pairs: list[tuple[str, str]], body: bytes) -> Answer:
    """Return what both answers must have in common, after checking the length."""
    lengths = [int(value) for name, value in pairs if name.lower() == "content-length"]
    if status == 204:
        assert not body
    elif method != "HEAD":
        assert set(lengths) <= {len(body)}
    kept = [pair for pair in pairs if pair[0].lower() not in FRAMING]
    if method == "HEAD":
        kept += [("Content-Length", str(length)) for length in lengths]
    return Answer(status, sorted(kept), body)


def masked(answer: Answer) -> Answer:
    """Return the answer without its new ids and tokens, and without the lag of the log."""

    def mask(data: bytes) -> bytes:
        return LAG.sub(b"0", NEW_TOKENS.sub(rb"\1*", NEW_IDS.sub(rb"\1_*", data)))

    pairs = [(name, mask(value.encode()).decode()) for name, value in answer.headers]
    return Answer(answer.status, pairs, mask(answer.body))
