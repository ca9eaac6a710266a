"""The witness over HTTP, and what a hostile client can send."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from log_builder import LogBuilder

from agentgate_audit import VerifierKey, Witness, open_state, parse_key, verify_cosignature, witness_server
from agentgate_audit.note import COSIGNATURE, parse_note
from agentgate_audit.witness_server import MAX_BODY, WitnessServer
from agentgate_audit.witness_state import State


@pytest.fixture
def log() -> LogBuilder:
    log = LogBuilder()
    log.fill(9)
    return log


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = open_state(tmp_path / "state", "w", "unused")
    yield state
    state.close()


@pytest.fixture
def server(state: State, key: VerifierKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[WitnessServer]:
    monkeypatch.setattr(witness_server._Handler, "timeout", 0.5)
    with WitnessServer(("127.0.0.1", 0), Witness(state, [key])) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connect(server: WitnessServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(server.server_address[1]), timeout=5)


def ask(server: WitnessServer, body: bytes, path: str = "/add-checkpoint") -> tuple[int, str | None, str]:
    with closing(connect(server)) as connection:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()


def send(server: WitnessServer, data: bytes) -> bytes:
    """Send raw bytes and return everything that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", int(server.server_address[1])), timeout=5) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def status(data: bytes) -> int:
    return int(data.split(b" ")[1])


def request(log: LogBuilder, old: int, new: int) -> bytes:
    proof = "".join(f"{base64.b64encode(node).decode()}\n" for node in log.tree.proof(old, new))
    return f"old {old}\n{proof}\n{log.checkpoint(new)}".encode()


def test_a_checkpoint_is_cosigned(server: WitnessServer, state: State, log: LogBuilder):
    code, _, lines = ask(server, request(log, 0, 5))

    assert code == 200
    assert verify_cosignature(parse_note(log.checkpoint(5) + lines), parse_key(str(state.key), COSIGNATURE)) > 0
    assert ask(server, request(log, 0, 9)) == (409, "text/x.tlog.size", "5\n")
    assert ask(server, request(log, 5, 9))[0] == 200


def test_a_connection_serves_several_requests(server: WitnessServer, log: LogBuilder):
    with closing(connect(server)) as connection:
        for old, new in [(0, 5), (0, 7), (5, 9)]:
            connection.request("POST", "/add-checkpoint", request(log, old, new))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == (409 if new == 7 else 200)


def test_only_one_path_and_method_exists(server: WitnessServer):
    assert ask(server, b"", "/")[0] == 404
    assert ask(server, b"", "/add-checkpoint?x")[0] == 404
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        with closing(connect(server)) as connection:
            connection.request(method, "/add-checkpoint")
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Allow")) == (405, "POST")
    with closing(connect(server)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 404


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("", 411),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 411),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 411),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: five\r\n", 400),
        (f"Content-Length: {MAX_BODY + 1}\r\n", 413),
        (f"Content-Length: {'9' * 9999}\r\n", 413),
    ],
)
def test_a_body_has_a_bounded_length(headers: str, expected: int, server: WitnessServer):
    assert status(send(server, f"POST /add-checkpoint HTTP/1.1\r\n{headers}\r\n".encode())) == expected


@pytest.mark.parametrize("data", [b"", b"POST", b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 5\r\n\r\nold"])
def test_a_client_that_stops_is_dropped(data: bytes, server: WitnessServer, capfd: pytest.CaptureFixture[str]):
    assert send(server, data) == b""
    assert "Traceback" not in capfd.readouterr().err


def test_a_state_that_cannot_be_stored_is_500(
    server: WitnessServer, state: State, log: LogBuilder, monkeypatch: pytest.MonkeyPatch
):
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(state, "record", fail)
        code, _, body = ask(server, request(log, 0, 5))
    assert (code, body) == (500, "The witness cannot store its state.\n")
    assert ask(server, request(log, 0, 5))[0] == 200


def open_slow(server: WitnessServer) -> socket.socket:
    """Open a connection that sends a request without ever ending it."""
    slow = socket.create_connection(("127.0.0.1", int(server.server_address[1])), timeout=5)
    slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\n")
    return slow


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_slow_connections_keep_no_one_out(server: WitnessServer, log: LogBuilder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(witness_server._Handler, "timeout", 30)
    slow = [open_slow(server) for _ in range(witness_server.MAX_CONNECTIONS)]

    assert ask(server, request(log, 0, 5))[0] == 200

    assert len(server._open) <= witness_server.MAX_PER_ADDRESS
    assert is_closed(slow[0])
    for one in slow:
        one.close()


def test_of_many_addresses_the_one_with_the_most_connections_makes_room(
    server: WitnessServer, log: LogBuilder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(witness_server, "MAX_CONNECTIONS", 3)
    sources = iter(["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"])
    monkeypatch.setattr(witness_server, "_source_of", lambda address: next(sources))
    monkeypatch.setattr(witness_server._Handler, "timeout", 30)
    alone, oldest, newer = (open_slow(server) for _ in range(3))

    assert ask(server, request(log, 0, 5))[0] == 200

    assert is_closed(oldest)
    oldest.close()
    for one in (alone, newer):
        one.settimeout(0.1)
        with pytest.raises(TimeoutError):
            one.recv(1)
        one.close()


def test_a_connection_that_drips_ends_at_its_deadline(
    server: WitnessServer, log: LogBuilder, monkeypatch: pytest.MonkeyPatch
):
    """A byte now and then keeps the timeout away, but not the deadline."""
    monkeypatch.setattr(witness_server, "DEADLINE", 0.3)
    slow = open_slow(server)
    for _ in range(100):
        try:
            slow.sendall(b"X")
            threading.Event().wait(0.05)
        except OSError:
            break
    else:
        pytest.fail("the connection was not closed")
    slow.close()
    assert ask(server, request(log, 0, 5))[0] == 200


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_network_is_one_address(address: str, source: str):
    assert witness_server._source_of(address) == source
