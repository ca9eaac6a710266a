"""Request bodies of a running server, sent through a raw socket."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.live.gate import Gate
from tests.live.server import LiveServer

# One store is enough, because bodies are refused before it is used.
pytestmark = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)

BODY = b"x" * 65_536
REFUSED_EARLY = {
    401: ("/api/v1/agents", "Content-Type: application/json"),
    404: ("/nowhere", "Content-Type: text/plain"),
    405: ("/.well-known/oauth-authorization-server/oauth", "Content-Type: text/plain"),
    415: ("/api/v1/tokens/verify", "Content-Type: text/plain"),
    403: ("/accounts/login/", "Content-Type: application/x-www-form-urlencoded"),
}
BATCH = 50


class RawClient:
    """A connection that sends a whole request before it reads the response, as many clients do."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def post(self, path: str, *headers: str, body: bytes = b"", length: str | None = None) -> None:
        """Send a POST. If `length` is empty, omit Content-Length."""
        declared = str(len(body)) if length is None else length
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
        lines += [f"Content-Length: {declared}"] if declared else []
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body. Raises `ConnectionError` if there is no response."""
        status = self._file.readline()
        if not status:
            raise ConnectionError("no answer")
        headers = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(status.split()[1]), headers, self._body(headers)

    def continues(self) -> bool:
        """Return whether the server sent `100 Continue`."""
        line = self._file.readline()
        return b" 100 " in line and self._file.readline() == b"\r\n"

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._file.read(int(headers["content-length"]))
        content = b""
        while size := int(self._file.readline() or b"0", 16):
            content += self._file.read(size + 2)[:size]
        self._file.readline()
        return content


@contextmanager
def connected(server: LiveServer) -> Iterator[RawClient]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield RawClient(connection)


@pytest.mark.parametrize("status", REFUSED_EARLY)
def test_no_response_is_lost_on_one_connection(shared_server: LiveServer, status: int) -> None:
    path, content_type = REFUSED_EARLY[status]
    with connected(shared_server) as client:
        for _ in range(BATCH):
            client.post(path, content_type, body=BODY)
            assert client.answer()[0] == status


@pytest.mark.parametrize("status", REFUSED_EARLY)
def test_no_response_is_lost_on_separate_connections(shared_server: LiveServer, status: int) -> None:
    path, content_type = REFUSED_EARLY[status]
    answers: Counter[int] = Counter()
    for _ in range(BATCH):
        with connected(shared_server) as client:
            client.post(path, content_type, "Connection: close", body=BODY)
            answers[client.answer()[0]] += 1
    assert answers == {status: BATCH}


def test_a_body_beyond_the_limit_is_refused_and_the_response_arrives(shared_server: LiveServer) -> None:
    with connected(shared_server) as client:
        for _ in range(5):
            client.post("/api/v1/tokens/verify", "Content-Type: application/json", body=b"x" * 3_000_000)
            assert client.answer()[0] == 413


def test_a_missing_body_does_not_delay_the_response(shared_server: LiveServer) -> None:
    with connected(shared_server) as client:
        client.post("/api/v1/tokens/verify", "Content-Type: application/json", length=str(10**15))
        assert client.answer()[0] == 413


def test_a_chunked_approval_is_refused(gate: Gate, shared_server: LiveServer) -> None:
    person = gate.person()
    consent_id = gate.initiate(gate.agent(gate.developer()))
    body = json.dumps({"scopes": ["email:read"]}).encode()
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    headers = [f"Authorization: {person.headers['Authorization']}", "Content-Type: application/json"]

    with connected(shared_server) as client:
        path = f"/api/v1/consent/{consent_id}/approve"
        client.post(path, *headers, "Transfer-Encoding: chunked", body=chunked, length="")
        status, answered, content = client.answer()

    assert (status, json.loads(content)["code"]) == (411, "length_required")
    assert answered["content-type"] == "application/problem+json"
    assert gate.get(f"/consent/{consent_id}").json()["status"] == "pending"


@pytest.mark.parametrize("length", ["-1", "+2", "x", "", " ", "2, 2", "9" * 30])
def test_an_invalid_length_is_refused(shared_server: LiveServer, length: str) -> None:
    with connected(shared_server) as client:
        client.post("/api/v1/tokens/revoke", f"Content-Length: {length}", body=b"{}", length="")
        assert client.answer()[0] == 400


def test_two_different_lengths_are_refused(shared_server: LiveServer) -> None:
    with connected(shared_server) as client:
        client.post("/api/v1/tokens/revoke", "Content-Length: 2", body=b"{}", length="3")
        assert client.answer()[0] == 400


def test_http_2_is_refused(shared_server: LiveServer) -> None:
    """HTTP/2 allows bodies without a length."""
    with connected(shared_server) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert client.answer()[0] == 400


def test_a_client_that_waits_for_100_continue_gets_it_or_an_error(shared_server: LiveServer) -> None:
    expect = ("Content-Type: application/json", "Expect: 100-continue")
    body = b'{"token": "a"}'
    with connected(shared_server) as client:
        client.post("/api/v1/tokens/revoke", *expect, length=str(len(body)))
        assert client.continues()
        client.send(body)
        assert client.answer()[0] == 200
    with connected(shared_server) as client:
        client.post("/nowhere", *expect, length="3000000")
        assert client.answer()[0] == 413


def test_an_incomplete_body_has_no_effect(gate: Gate, shared_server: LiveServer) -> None:
    agent = gate.agent(gate.developer())
    tokens = gate.tokens(agent, gate.person())
    form = f"client_id={agent.client_id}&client_secret={agent.client_secret}&token={tokens['accessToken']}".encode()

    with connected(shared_server) as client:
        form_type = "Content-Type: application/x-www-form-urlencoded"
        client.post("/oauth/revoke", form_type, body=form, length=str(len(form) + 1))

    # The server answers the next request only after it has seen the end of that connection's body, or later.
    assert gate.verify(tokens["accessToken"])["allowed"] is True


def test_stalled_clients_block_no_thread(gate: Gate, shared_server: LiveServer) -> None:
    """Send 80 requests without their bodies to four processes with eight threads each."""
    connections = [socket.create_connection(("127.0.0.1", shared_server.port), timeout=10) for _ in range(80)]
    try:
        for connection in connections:
            RawClient(connection).post("/nowhere", "Content-Type: text/plain", length="65536")
        for _ in range(20):
            assert httpx.get(f"{gate.url}/api/v1/health", timeout=5).status_code == 200
    finally:
        for connection in connections:
            connection.close()
