"""The event loop accepts one connection per turn, so that processes share a burst of them."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from server.front import loop as loops
from server.front.loop import Loop

BURST = 12


class Greeting(asyncio.Protocol):
    made: int = 0
    stopped: int = 0

    def connection_made(self, transport: Any) -> None:
        Greeting.made += 1
        self.no_delay = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.write(b"hello" if self.no_delay else b"delay")

    def shutdown(self) -> None:
        Greeting.stopped += 1


class FailsOnce:
    """A listening socket that raises `error` the first time it accepts."""

    def __init__(self, listening: socket.socket, error: OSError) -> None:
        self._listening = listening
        self._errors = [error]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)

    def accept(self) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._listening.accept()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    Greeting.made = Greeting.stopped = 0
    with asyncio.Runner(loop_factory=Loop) as runner:
        yield runner


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(BURST)
        yield listening


@pytest.fixture
def clients(listening: socket.socket) -> Iterator[list[socket.socket]]:
    """Connected clients, none of which has been accepted yet."""
    clients = [socket.create_connection(listening.getsockname()) for _ in range(BURST)]
    yield clients
    for client in clients:
        client.close()


async def listen(listening: socket.socket) -> loops.Listener:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return await loop.create_server(Greeting, sock=listening, backlog=BURST)


def test_each_turn_accepts_one(
    runner: asyncio.Runner, listening: socket.socket, clients: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[int] = []

    async def accept_all() -> None:
        turns = 0
        listener = await listen(listening)
        connect = listener._connect

        async def count(client: socket.socket) -> None:
            accepted.append(turns)
            await connect(client)

        monkeypatch.setattr(listener, "_connect", count)
        while Greeting.made < BURST:
            await asyncio.sleep(0)
            turns += 1
        listener.close()
        await listener.wait_closed()

    runner.run(asyncio.wait_for(accept_all(), 5))
    assert len(set(accepted)) == BURST
    assert {client.recv(5) for client in clients} == {b"hello"}


def test_it_goes_on_when_there_are_file_descriptors_again(
    runner: asyncio.Runner,
    listening: socket.socket,
    clients: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def accept_all() -> None:
        listener = await listen(listening)
        no_descriptor = OSError(errno.EMFILE, "Too many open files")
        listener._socket = FailsOnce(listening, no_descriptor)  # type: ignore[assignment]
        while Greeting.made < BURST:
            await asyncio.sleep(0.001)
        listener.close()

    monkeypatch.setattr(loops, "RETRY_SECONDS", 0.05)
    runner.run(asyncio.wait_for(accept_all(), 5))
    assert [record.getMessage() for record in caplog.records] == [
        "No connection can be accepted: [Errno 24] Too many open files"
    ]


def test_the_close_accepts_who_waits_and_tells_them_to_end(
    runner: asyncio.Runner, listening: socket.socket, clients: list[socket.socket]
) -> None:
    async def close_at_once() -> None:
        listener = await listen(listening)
        listener.close()
        await listener.wait_closed()

    runner.run(asyncio.wait_for(close_at_once(), 5))
    assert Greeting.made == Greeting.stopped == BURST


def test_the_close_accepts_who_waits_behind_a_client_that_has_gone(
    runner: asyncio.Runner, listening: socket.socket, clients: list[socket.socket]
) -> None:
    async def close_at_once() -> None:
        listener = await listen(listening)
        listener._backlog += 1
        client_has_gone = ConnectionAbortedError()
        listener._socket = FailsOnce(listening, client_has_gone)  # type: ignore[assignment]
        listener.close()
        await listener.wait_closed()

    runner.run(asyncio.wait_for(close_at_once(), 5))
    assert Greeting.made == Greeting.stopped == BURST


def test_after_the_close_it_accepts_none(runner: asyncio.Runner, listening: socket.socket) -> None:
    async def connect_after_close() -> None:
        listener = await listen(listening)
        listener.close()
        with socket.create_connection(listening.getsockname()):
            await asyncio.sleep(0.05)
        await listener.wait_closed()

    runner.run(connect_after_close())
    assert Greeting.made == 0


def test_a_connection_that_was_being_accepted_at_the_close_is_told_to_end(
    runner: asyncio.Runner, listening: socket.socket, clients: list[socket.socket]
) -> None:
    async def close_while_connecting() -> None:
        listener = await listen(listening)
        while not listener._connecting:
            await asyncio.sleep(0)
        listener.close()
        await listener.wait_closed()

    runner.run(asyncio.wait_for(close_while_connecting(), 5))
    assert Greeting.made == Greeting.stopped == BURST
