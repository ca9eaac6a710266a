"""Sending to a host that someone else chose: a web server of our own, and addresses of all kinds."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from core import fetching, posting
from core.fetching import TooManyFetches
from core.posting import Answer, Failure, NoAnswer, Poster
from tests.core.servers import HOST, resolve_to, send
from tests.core.test_fetching import drip
from tests.shared import cases


def post(*, seconds: float = 5.0, host: str = HOST, admit: Callable[[str], object] = str, **options: Any) -> Answer:
    async def act() -> Answer:
        url = f"https://{host}:{fetching.PORT}/hooks?a=1"
        given = {"may_reach": fetching.is_public, "max_bytes": 2048, **options}
        return await Poster().post(url, b"{}", {"X-Id": "1"}, seconds=seconds, admit=admit, **given)

    return asyncio.run(act())


def failure(**options: Any) -> Failure:
    with pytest.raises(NoAnswer) as missing:
        post(**options)
    return missing.value.failure


def test_sends_the_body_and_the_headers(serve: Callable[..., list[str]]) -> None:
    received = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        received.append((handler.command, handler.headers["X-Id"], handler.rfile.read(length)))
        send(handler, b"accepted", 202)

    asked = serve(answer)
    assert post() == Answer(202, "", b"accepted")
    assert asked == [f"{HOST}:{fetching.PORT}/hooks?a=1"]
    assert received == [("POST", "1", b"{}")]


@cases(
    ("answer", "expected"),
    [
        (lambda handler: send(handler, b"", 302, Location="https://127.0.0.1/"), Answer(302, "", b"")),
        (lambda handler: send(handler, b"", 503, Retry_After="120"), Answer(503, "120", b"")),
        (lambda handler: send(handler, b"x" * 100_000), Answer(200, "", b"x" * 2048)),
        (lambda handler: send(handler, b"cut", **{"Content-Length": "10"}), Answer(200, "", b"cut")),
    ],
)
def test_returns_the_beginning_of_any_answer(
    serve: Callable[..., list[str]], answer: Callable[..., None], expected: Answer
) -> None:
    asked = serve(answer)
    assert post() == expected
    assert len(asked) == 1


def test_an_answer_that_does_not_end_counts(serve: Callable[..., list[str]]) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"cut", **{"Content-Length": "10"})
        time.sleep(0.5)

    serve(answer)
    assert post(seconds=0.3) == Answer(200, "", b"cut")


def test_a_slow_host_ends_in_time(serve: Callable[..., list[str]]) -> None:
    serve(drip)
    started = time.monotonic()
    assert failure(seconds=0.2) == Failure.TIMEOUT
    assert time.monotonic() - started < 2


def test_what_is_not_http_is_a_failure(serve: Callable[..., list[str]]) -> None:
    serve(lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"))
    assert failure() == Failure.PROTOCOL


def test_only_so_much_of_an_answer_is_read(serve: Callable[..., list[str]]) -> None:
    def flood(part: bytes, begin: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(begin)
            with suppress(OSError):
                while True:
                    handler.wfile.write(part)

        return answer

    serve(flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    assert failure(seconds=20) == Failure.PROTOCOL
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    serve(flood(b"1;" + b"a" * 15_000 + b"\r\nx\r\n", chunked))
    assert post(seconds=20) == Answer(200, "", b"xx")


def test_the_certificate_must_be_that_of_the_host(serve: Callable[..., list[str]]) -> None:
    asked = serve(send)
    assert failure(host="other.example") == Failure.TLS
    assert asked == []


def test_a_closed_port_is_a_failure(serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(send)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(fetching, "PORT", unused.getsockname()[1])
        assert failure() == Failure.CONNECTION


def test_the_next_address_is_tried(serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(send)
    resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    admitted: list[str] = []
    assert post(admit=admitted.append).status == 200
    assert admitted == ["127.0.0.9", "127.0.0.1"]


@cases("addresses", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["fe80::1%eth0"], ["::ffff:127.0.0.1"]])
def test_a_host_with_an_address_that_is_not_public_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolve_to(monkeypatch, *addresses)
    assert failure(admit=lambda address: pytest.fail("it was connected to")) == Failure.ADDRESS_REFUSED


def test_each_try_looks_the_host_up_and_checks_its_addresses(
    serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(send)
    found = iter((["127.0.0.1"], ["10.0.0.1"]))
    monkeypatch.setattr(fetching, "look_up", lambda host: next(found))
    assert post(may_reach=is_no_private).status == 200
    assert failure(may_reach=is_no_private) == Failure.ADDRESS_REFUSED
    assert len(asked) == 1


def is_no_private(address: object) -> bool:
    return str(address) != "10.0.0.1"


@cases("error", [OSError("no such host"), UnicodeError("label too long")])
def test_a_host_that_is_not_found_is_a_failure(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def look_up(host: str) -> list[str]:
        raise error

    monkeypatch.setattr(fetching, "look_up", look_up)
    assert failure() == Failure.NO_ADDRESS


def test_lookups_that_hang_end_in_time_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MAX_LOOKUPS", 2)
    monkeypatch.setattr(fetching, "look_up", lambda host: time.sleep(0.5) or [])

    async def act() -> list[object]:
        poster = Poster()
        tries = [
            poster.post("https://acme.com", b"", {}, seconds=0.05, max_bytes=1, may_reach=bool, admit=str)
            for _ in range(3)
        ]
        return await asyncio.gather(*tries, return_exceptions=True)

    first, second, third = asyncio.run(act())
    assert [str(first), str(second)] == [Failure.TIMEOUT] * 2
    assert isinstance(third, TooManyFetches)


def test_an_error_of_the_bound_per_address_is_raised(serve: Callable[..., list[str]]) -> None:
    asked = serve(send)

    def admit(address: str) -> None:
        raise LookupError(address)

    with pytest.raises(LookupError):
        post(admit=admit)
    assert asked == []
