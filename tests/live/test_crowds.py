"""Clients that open connections and send nothing, or long forms, do not keep others out."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from tests.live.server import LiveServer
from tests.shared import cases

MANY = 1100
GET = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
# One store is enough, because the front refuses requests before it is used.
pytestmark = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., LiveServer]) -> LiveServer:
    return start_for_module(processes=1)


def status_for(server: LiveServer, address: str) -> bytes:
    """Return the status that a new client with this address gets."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=(address, 0)) as client:
        client.sendall(GET)
        return client.recv(65_536).split(b" ", 2)[1]


@cases(
    ("addresses", "sent"),
    [(["127.0.0.2"], b""), (["127.0.0.2"], GET[:9]), (["127.0.0.2", "127.0.0.3"], GET)],
)
def test_many_idle_connections_do_not_close_a_process(server: LiveServer, addresses: list[str], sent: bytes) -> None:
    with ExitStack() as stack:
        for number in range(MANY):
            source = (addresses[number % len(addresses)], 0)
            client = socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=source)
            stack.enter_context(client)
            client.sendall(sent)

        assert status_for(server, addresses[0]) == b"200"
        assert status_for(server, "127.0.0.1") == b"200"


@pytest.mark.parametrize(("path", "size"), [("/accounts/login/", 257), ("/oauth/token", 33), ("/api/v1/agents", 257)])
def test_a_long_form_is_refused_with_the_reason(server: LiveServer, path: str, size: int) -> None:
    form = "a=" + "é%ff" * (size * 1024 // 5)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{server.url}{path}", content=form.encode(), headers=headers)

    assert answer.status_code == 413
    assert f"The body must be at most {(size - 1) * 1024} bytes here." in answer.text
