"""Fetching a small file from a host that someone else chose: a web server of our own, and addresses of all kinds."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from typing import Any

import pytest

from core import fetching
from core.fetching import Fetched, FetchFailed, TooManyFetches, fetch_file, is_public
from tests.core.servers import HOST, resolve_to, send
from tests.shared import cases

PATH = "/.well-known/agentgate.txt"


def test_returns_the_file(serve: Callable[..., list[str]]) -> None:
    asked = serve(send)
    assert fetch_file(HOST, PATH, max_bytes=5) == Fetched(b"proof")
    assert asked == [f"{HOST}:{fetching.PORT}{PATH}"]


def test_returns_the_headers_that_describe_the_file(serve: Callable[..., list[str]]) -> None:
    serve(lambda handler: send(handler, Content_Type="application/json", Cache_Control="no-store"))
    assert fetch_file(HOST, PATH, max_bytes=5) == Fetched(b"proof", "application/json", "no-store")


def test_looks_the_host_up_once(serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(send)
    looked_up = resolve_to(monkeypatch, "127.0.0.1")
    fetch_file(HOST, PATH, max_bytes=5)
    assert looked_up == [HOST]


@cases(
    ("answer", "status"),
    [
        (lambda handler: send(handler, status=404), 404),
        (lambda handler: send(handler, status=204), 204),
        (lambda handler: send(handler, b"", 302, Location="https://127.0.0.1/"), 302),
        (lambda handler: send(handler, b"x" * 6), 200),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), None),
    ],
)
def test_any_other_answer_is_a_failure(serve: Callable[..., list[str]], answer: Any, status: int | None) -> None:
    asked = serve(answer)
    with pytest.raises(FetchFailed) as failure:
        fetch_file(HOST, PATH, max_bytes=5)
    assert failure.value.status == status
    assert len(asked) == 1


def test_the_certificate_must_be_that_of_the_host(serve: Callable[..., list[str]]) -> None:
    asked = serve(send)
    with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_file("other.example", PATH, max_bytes=5)
    assert asked == []


@cases("addresses", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["fe80::1%eth0"], []])
def test_a_host_with_an_address_that_is_not_public_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolve_to(monkeypatch, *addresses)
    monkeypatch.setattr(fetching.socket, "create_connection", lambda *args: pytest.fail("it was connected to"))
    with pytest.raises(FetchFailed, match=r"not public|no address"):
        fetch_file(HOST, PATH, max_bytes=5)


@cases(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
        *[(address, False) for address in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254")],
        *[(address, False) for address in ("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1")],
        *[(address, False) for address in ("::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1")],
        *[(address, False) for address in ("::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2002:7f00:1::")],
        *[(address, False) for address in ("::10.0.0.1", "::ffff:0:10.0.0.1", "fec0::1", "5f00::1")],
        *[(address, False) for address in ("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110")],
        ("2001:0:5db8:d70e:0:0:f5ff:fffe", False),  # Teredo: the client's address is 10.0.0.1
    ],
)
def test_tells_public_addresses(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) is expected


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.flush_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b"X-Slow: 1\r\n")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def test_a_slow_host_ends_in_time_and_gives_its_slot_back(
    serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.3)
    serve(drip)
    started = time.monotonic()
    with pytest.raises(FetchFailed, match="in time"):
        fetch_file(HOST, PATH, max_bytes=5)
    assert time.monotonic() - started < 2
    for _ in range(fetching.MAX_FETCHES):
        assert fetching._slots.acquire(timeout=5), "the thread did not release its slot"
    try:
        with pytest.raises(TooManyFetches):
            fetch_file(HOST, PATH, max_bytes=5)
    finally:
        fetching._slots.release(fetching.MAX_FETCHES)


def test_the_next_address_is_tried(serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(send)
    resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    assert fetch_file(HOST, PATH, max_bytes=5) == Fetched(b"proof")
