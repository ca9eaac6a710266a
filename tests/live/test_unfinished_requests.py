"""Clients that never finish their requests cost nothing but their connections, and only until their deadline."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from server.front.bounds import BODY_SECONDS, DISCARD_SECONDS, HEAD_SECONDS, TICK_SECONDS
from tests.live.server import LiveServer
from tests.waiting import wait_until

CLIENTS = 64
HEAD = b"POST /api/v1/tokens/verify HTTP/1.1\r\nHost: localhost\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n"
UNFINISHED = {
    "headers": (HEAD, HEAD_SECONDS),
    "body": (JSON + b"Content-Length: 1000\r\n\r\n{", BODY_SECONDS),
    # A body longer than one read, which the server must hold.
    "long body": (JSON + b"Content-Length: 2000000\r\n\r\n" + b" " * 500_000, BODY_SECONDS),
}

# One store is enough, because the requests never reach it.
pytestmark = [pytest.mark.soak, pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)]


@pytest.fixture
def server(start_server: Callable[..., LiveServer]) -> Iterator[LiveServer]:
    return start_server(processes=1)


def open_connections(server: LiveServer) -> int:
    (worker,) = server.workers()
    found = worker.net_connections("tcp")
    return sum(each.status != "LISTEN" and each.laddr.port == server.port for each in found)


def health_seconds(server: LiveServer) -> float:
    began = time.monotonic()
    assert httpx.get(f"{server.url}/api/v1/health", timeout=10).status_code == 200
    return time.monotonic() - began


@pytest.mark.parametrize("kind", UNFINISHED)
def test_they_are_ended_and_health_is_answered_meanwhile(server: LiveServer, kind: str) -> None:
    data, seconds = UNFINISHED[kind]
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.sendall(data)
        began = time.monotonic()
        assert max(health_seconds(server) for _ in range(20)) < 1
        assert open_connections(server) >= CLIENTS
        answers = [client.recv(65_536).split(b" ", 2)[1] for client in clients]
        assert seconds - 1 < time.monotonic() - began < seconds + 3
        assert answers == [b"408"] * CLIENTS
        wait_until(lambda: open_connections(server) == 0, seconds=DISCARD_SECONDS + 4 * TICK_SECONDS + 2)
    assert health_seconds(server) < 1
