"""A front in the test's event loop: real sockets, a test double for the hot paths, and a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from core.messages import APPROVAL, EVENTS, REVOCATIONS, Reply, Request
from server.front.bounds import THREADS
from server.front.connection import Connection
from server.front.front import Front
from server.front.hot import Done, HotPaths
from server.front.issuing import Issuing
from server.front.turns import FairPool
from server.front.wsgi import Bridge

JSON = (("Content-Type", "application/json"),)
TIMEOUT = 10


class Hot(HotPaths):
    """Records requests. Answers them at once with their path and body, or when a test calls `done`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.waiting: list[Done] = []
        self.is_holding = False
        self.is_cold = False
        self.questions = 0
        self.reply = lambda request: Reply(200, JSON, request.path.encode() + b" " + request.body)

    @property
    def questions_waiting(self) -> int:
        return self.questions

    def answer(self, request: Request, done: Done) -> bool:
        if self.is_cold:
            return False
        self.requests.append(request)
        if self.is_holding:
            self.waiting.append(done)
        else:
            done(self.reply(request))
        return True


class Clock:
    """The event loop as connections see it. Its time moves on when a test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.create_future = self._loop.create_future
        self._began = self._loop.time()
        self._passed = 0.0

    def time(self) -> float:
        return self._began + self._passed

    def move(self, seconds: float) -> None:
        """Let so many seconds have passed since the test began."""
        self._passed = seconds


class Gate:
    """The front under test. `application` is the WSGI application behind it."""

    def __init__(self, threads: int = THREADS, queue: int = 8) -> None:
        self.hot = Hot()
        self.application: Callable[..., Any] = lambda environ, start_response: []
        self.pool = FairPool(threads, threads, max(1, 2 * queue), threads)
        self.deciding = FairPool(1, 1, 2 * queue, 1)
        # Which of the approvals that are waited for are still pending. Events are another kind.
        self.watch: Callable[[Collection[str]], set[str]] = set
        self.watch_events: Callable[[Collection[str]], set[str]] = set
        bridge = Bridge(
            lambda environ, start: self.application(environ, start),
            self.pool,
            "8000",
            {APPROVAL: lambda ids: self.watch(ids), EVENTS: lambda abouts: self.watch_events(abouts), REVOCATIONS: set},
            deciding=self.deciding,
        )
        self.front = Front(self.hot, Issuing(), bridge, self.pool)
        self.clock = Clock()
        self.port = 0

    def make_connection(self) -> Connection:
        state = SimpleNamespace(connections=set())
        return Connection(None, state, {"front": self.front}, self.clock)

    @property
    def connections(self) -> list[Connection]:
        return list(self.front.connections)

    async def pass_time(self, seconds: float) -> None:
        """Let the front believe that so many seconds have passed since the test began."""
        await self.settle()
        self.clock.move(seconds)
        self.front.tick(self.clock.time())
        await self.settle()

    async def settle(self) -> None:
        """Let the loop handle what is on its way between the two ends of the sockets."""
        for _ in range(20):
            await asyncio.sleep(0.001)


class Client:
    """A raw connection to the front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def send_forever(self) -> None:
        while True:
            self.send(b"x" * 1_000_000)
            await self.writer.drain()

    def post(self, path: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)

    async def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body of the next response. Raises `IncompleteReadError` if there is none."""
        async with asyncio.timeout(TIMEOUT):
            status, headers = await self.head()
            return status, headers, await self._body(headers, method)

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(headers) == len(lines), head
        return int(status.split()[1]), headers

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            return await self._reader.readexactly(size)

    async def _body(self, headers: dict[str, str], method: str) -> bytes:
        if method == "HEAD":
            return b""
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        if "transfer-encoding" not in headers:
            return b""
        content = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            content += (await self._reader.readexactly(size + 2))[:size]
        assert await self._reader.readexactly(2) == b"\r\n"
        return content

    async def rest(self) -> bytes:
        """Return what arrives until the server closes its side."""
        async with asyncio.timeout(TIMEOUT):
            return await self._reader.read()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with running(Gate()) as gate:
        yield gate


@asynccontextmanager
async def running(gate: Gate) -> AsyncIterator[Gate]:
    server = await asyncio.get_running_loop().create_server(gate.make_connection, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        gate.front.abort()
        server.close()
        gate.pool.stop()
        gate.deciding.stop()


@pytest.fixture
def connect(gate: Gate) -> Iterator[Callable[..., Any]]:
    """Yield a function that opens a connection from an address of this machine."""
    writers = []

    async def open_connection(address: str = "127.0.0.1") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, local_addr=(address, 0))
        writers.append(writer)
        return Client(reader, writer)

    yield open_connection
    for writer in writers:
        writer.close()


@pytest.fixture
async def client(connect: Callable[[], Any]) -> Client:
    return await connect()
