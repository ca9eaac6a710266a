"""Django behind the front: the WSGI environment, the bounded pool, and responses that are sent in pieces."""

import asyncio
import io
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from server.front import wsgi
from tests.server.front.conftest import Client, Gate, running

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
TEXT = [("Content-Type", "text/plain")]
Connect = Callable[[], Any]


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """Yield a front with one thread and room for one more request, and no hot path."""
    async with running(Gate(threads=1, queue=1)) as gate:
        gate.hot.is_cold = True
        yield gate


class Pieces:
    """A streaming response, as Django's: it says so, and is closed in the end."""

    streaming = True

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.threads: set[int] = set()
        self.generated = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.threads.add(threading.get_ident())
            self.generated += 1
            yield piece

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.is_closed = True


def answering(pieces: Any, status: str = "200 OK", headers: list[tuple[str, str]] = TEXT) -> Callable[..., Any]:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, headers)
        return pieces

    return application


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_environment(gate: Gate, client: Client) -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read(100))
        start_response("200 OK", TEXT)
        return [b"ok"]

    gate.application = validator(application)
    client.post("/a%20%C3%A9%2Fb?c=%20", b"body", "Content-Type: text/x", "X-A-B: \xe9", "Cookie: a=1", "Cookie: b=2")
    assert (await client.answer())[2] == b"ok"

    assert seen["REQUEST_METHOD"] == "POST"
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/a \xc3\xa9/b", "c=%20")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["body"]) == ("text/x", "4", b"body")
    assert (seen["HTTP_X_A_B"], seen["HTTP_COOKIE"], seen["HTTP_HOST"]) == ("\xe9", "a=1; b=2", "a")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["SERVER_PROTOCOL"]) == ("127.0.0.1", "http", "HTTP/1.1")
    assert not {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & set(seen)


async def test_head_is_answered_without_a_body(gate: Gate, client: Client) -> None:
    gate.application = answering([b"body"], headers=[*TEXT, ("Content-Length", "4")])
    client.send(GET.replace(b"GET", b"HEAD") + GET)

    assert (await client.answer("HEAD"))[1]["content-length"] == "4"
    assert (await client.answer())[2] == b"body"


async def test_a_full_queue_is_answered_503(gate: Gate, connect: Connect) -> None:
    release = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        release.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    gate.application = application
    accepted = [await connect() for _ in range(2)]
    for client in accepted:
        client.send(GET)
        await gate.settle()
    refused = await connect()
    refused.send(GET.replace(b"/a", b"/api/v1/agents"))
    status, headers, body = await refused.answer()
    refused.send(GET.replace(b"/a", b"/oauth/token"))
    oauth = await refused.answer()

    assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "unavailable", "1")
    assert (oauth[0], json.loads(oauth[2])["error"], oauth[1]["retry-after"]) == (503, "temporarily_unavailable", "1")
    release.set()
    for client in accepted:
        assert (await client.answer())[0] == 200
    refused.send(GET)
    assert (await refused.answer())[0] == 200


async def test_a_request_whose_client_has_gone_is_not_run(gate: Gate, connect: Connect) -> None:
    release, paths = threading.Event(), []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        paths.append(environ["PATH_INFO"])
        release.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    gate.application = application
    first, gone = await connect(), await connect()
    first.send(GET)
    await gate.settle()
    gone.send(GET.replace(b"/a", b"/gone"))
    await gate.settle()
    for connection in gate.connections:
        if connection.exchange and connection.exchange.request.path == "/gone":
            connection.abort()
    await gate.settle()
    release.set()
    assert (await first.answer())[0] == 200
    first.send(GET.replace(b"/a", b"/b"))
    await first.answer()

    assert paths == ["/a", "/b"]


@pytest.mark.parametrize(
    "application",
    [
        lambda environ, start_response: 1 / 0,
        lambda environ, start_response: [b"did not start"],
        answering([b"x"], headers=[("Location", "/\r\nSet-Cookie: a=b")]),
        answering([b"x"], headers=[("Lo cation", "/")]),
        answering([b"x"], headers=[("Location", "\u20ac")]),
    ],
)
async def test_a_broken_application_is_answered_500(
    gate: Gate, client: Client, application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate.application = application
    client.send(GET)
    status, headers, body = await client.answer()

    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert "set-cookie" not in headers
    assert "/a" in caplog.text
    gate.application = answering([b"ok"])
    client.send(GET)
    assert (await client.answer())[2] == b"ok"


class TestStreams:
    async def test_pieces_are_sent_in_chunks(self, gate: Gate, client: Client) -> None:
        pieces = Pieces([b"one", b"", b"two" * 100_000])
        gate.application = answering(pieces)
        client.send(GET + GET)
        _, headers, body = await client.answer()

        assert body == b"one" + b"two" * 100_000
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers
        await client.answer()
        # The client may have the last piece before the thread closes them.
        await until(lambda: pieces.is_closed)

    async def test_one_thread_generates_all_pieces(self, gate: Gate, client: Client) -> None:
        pieces = Pieces([b"x"] * 20)
        gate.application = answering(pieces)
        client.send(GET)
        await client.answer()
        await until(lambda: pieces.is_closed)

        assert len(pieces.threads) == 1
        assert threading.get_ident() not in pieces.threads

    async def test_a_declared_length_is_kept(self, gate: Gate, client: Client) -> None:
        gate.application = answering(Pieces([b"ab", b"c"]), headers=[*TEXT, ("Content-Length", "3")])
        client.send(GET + GET)

        for _ in range(2):
            _, headers, body = await client.answer()
            assert (headers["content-length"], body) == ("3", b"abc")

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    async def test_a_response_without_a_body_is_not_framed(self, gate: Gate, client: Client, status: str) -> None:
        """WhiteNoise streams its 304. A last chunk behind it would be read as the start of the next response."""
        pieces = Pieces([])
        gate.application = answering(pieces, status)
        client.send(GET + GET.replace(b"GET", b"HEAD"))
        client.writer.write_eof()
        text = await client.rest()

        assert text.count(b"HTTP/1.1 " + status.encode()) == 2
        assert b"ransfer-" not in text
        assert text.endswith(b"\r\n\r\n")
        assert b"\r\n\r\n0\r\n" not in text
        await until(lambda: pieces.is_closed)

    async def test_http_1_0_gets_the_pieces_until_the_end(self, gate: Gate, client: Client) -> None:
        gate.application = answering(Pieces([b"ab", b"c"]))
        client.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        _, headers, _ = await client.answer()

        assert headers["connection"] == "close"
        assert await client.rest() == b"abc"

    @pytest.mark.parametrize("length", ["2", "4"])
    async def test_a_wrong_length_breaks_the_connection(self, gate: Gate, client: Client, length: str) -> None:
        gate.application = answering(Pieces([b"abc"]), headers=[*TEXT, ("Content-Length", length)])
        client.send(GET)

        await client.head()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.read(1000)

    async def test_an_error_in_the_middle_breaks_the_connection(
        self, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> Iterator[bytes]:
            yield b"one"
            raise LookupError

        pieces = Pieces(broken())
        gate.application = answering(pieces)
        client.send(GET)

        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        assert "the response broke off" in caplog.text
        await until(lambda: pieces.is_closed)

    async def test_a_response_whose_client_has_gone_is_closed(self, gate: Gate, client: Client) -> None:
        release, pieces = threading.Event(), Pieces([b"never"])

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            release.wait()
            start_response("200 OK", TEXT)
            return pieces

        gate.application = application
        client.send(GET)
        await gate.settle()
        gate.front.abort()
        await gate.settle()
        release.set()
        await until(lambda: pieces.is_closed)
        assert pieces.generated == 0

    async def test_head_generates_nothing(self, gate: Gate, client: Client) -> None:
        pieces = Pieces([b"never"])
        gate.application = answering(pieces)
        client.send(GET.replace(b"GET", b"HEAD"))
        await client.answer("HEAD")

        assert pieces.is_closed
        assert pieces.generated == 0

    async def test_a_slow_reader_pauses_the_generator_and_holds_no_thread_of_the_pool(
        self, gate: Gate, client: Client, connect: Connect
    ) -> None:
        pieces = Pieces(itertools.repeat(b"x" * 100_000))
        gate.application = answering(pieces)
        client.send(GET)
        await client.head()
        client.writer.transport.pause_reading()
        before = -1
        while pieces.generated != before:
            before = pieces.generated
            await asyncio.sleep(0.1)
        assert before < 300  # what the kernel's socket buffers take, at most a few MB

        gate.application = answering([b"ok"])
        other = await connect()
        other.send(GET)
        assert (await other.answer())[2] == b"ok"
        client.writer.transport.abort()
        await until(lambda: pieces.is_closed)

    async def test_streams_are_limited(self, gate: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wsgi, "MAX_STREAMS", 1)
        release = threading.Event()

        def waiting() -> Iterator[bytes]:
            yield b"a"
            release.wait()
            yield b"b"

        pieces = Pieces(waiting())
        gate.application = answering(pieces)
        first, second = await connect(), await connect()
        first.send(GET)
        await first.head()
        refused = Pieces([b"never"])
        gate.application = answering(refused)
        second.send(GET)
        assert (await second.answer())[0] == 503
        release.set()
        assert await first.read(len(b"1\r\na\r\n1\r\nb\r\n")) == b"1\r\na\r\n1\r\nb\r\n"
        await until(lambda: refused.is_closed)

    async def test_a_file_is_sent_in_pieces_and_closed(self, gate: Gate, client: Client) -> None:
        file = io.BytesIO(bytes(range(256)) * 4000)

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            start_response("200 OK", [*TEXT, ("Content-Length", str(256 * 4000))])
            return environ["wsgi.file_wrapper"](file, 4096)

        gate.application = application
        client.send(GET)

        assert (await client.answer())[2] == bytes(range(256)) * 4000
        await until(lambda: file.closed)
