"""One connection: requests in pieces, in order, and to the end; refusals that arrive; what clients may not do."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from api.parsers import MAX_BODY_BYTES
from core.messages import Reply
from server.front import bounds
from server.front.bounds import MAX_AHEAD, MAX_DISCARDED, MAX_HEAD, MAX_OAUTH_BODY, MAX_PAGE_BODY
from tests.samples import sample
from tests.server.front.conftest import JSON, Client, Gate

Connect = Callable[[], Any]
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
UNREAD = 40
CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_LONG = MAX_BODY_BYTES + 1


async def test_a_request_and_its_reply(gate: Gate, client: Client) -> None:
    client.post("/a%20b?c=d", b"body", "X-A: \xe9")
    status, headers, body = await client.answer()

    (request,) = gate.hot.requests
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a%20b", "c=d", b"body")
    assert request.headers == {"host": "a", "content-length": "4", "x-a": "\xe9"}
    assert (request.peer, request.scheme, request.http_version) == ("127.0.0.1", "http", "1.1")
    assert (status, body) == (200, b"/a%20b body")
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert set(headers) == {"content-type", "content-length", "date", "x-request-id"}


async def test_a_request_may_arrive_byte_by_byte(gate: Gate, client: Client) -> None:
    for byte in b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + GET:
        client.send(bytes([byte]))
        await asyncio.sleep(0)

    assert (await client.answer())[2] == b"/a abc"
    assert (await client.answer())[2] == b"/a "


async def test_a_long_body_arrives_unchanged(gate: Gate, client: Client) -> None:
    body = bytes(range(256)) * (MAX_BODY_BYTES // 256)
    client.post("/api/a", body, "Content-Type: application/json")
    await client.answer()
    client.post("/b", b"second")
    await client.answer()

    assert [request.body for request in gate.hot.requests] == [body, b"second"]


async def test_pipelined_requests_are_answered_in_order(gate: Gate, client: Client) -> None:
    numbers = [str(number).encode() for number in range(50)]
    client.send(b"".join(GET.replace(b"/a", b"/" + number) for number in numbers))

    assert [(await client.answer())[2] for _ in numbers] == [b"/%b " % number for number in numbers]


async def test_a_pipelined_request_waits_for_the_one_before(gate: Gate, client: Client) -> None:
    gate.hot.is_holding = True
    client.send(GET + GET)
    await gate.settle()
    assert len(gate.hot.waiting) == 1

    gate.hot.waiting.pop()(Reply(200, JSON, b"first"))
    assert (await client.answer())[2] == b"first"
    gate.hot.waiting.pop()(Reply(200, JSON, b"second"))
    assert (await client.answer())[2] == b"second"


async def test_a_tick_reports_the_load(gate: Gate, client: Client) -> None:
    gate.hot.questions = 7
    await gate.pass_time(0)

    assert sample("agentgate_queue_length") == 7
    assert sample("agentgate_connections") == 1


async def test_input_ahead_is_not_read_without_limit(gate: Gate, client: Client) -> None:
    gate.hot.is_holding = True
    client.send(GET)
    await gate.settle()
    client.send(GET * 40_000)
    await gate.settle()

    # Two reads of at most 256 KB: reading pauses after the one that exceeds the limit.
    assert MAX_AHEAD < gate.front.held <= 2 * 256 * 1024
    gate.hot.is_holding = False
    gate.hot.waiting.pop()(Reply(200, JSON, b""))
    for _ in range(40_001):
        assert (await client.answer())[0] == 200


async def test_input_is_not_read_without_limit_while_the_client_reads_nothing(gate: Gate, client: Client) -> None:
    await fill_with_unread_replies(gate, client)
    client.send(GET * 100_000)
    await gate.settle()

    assert gate.front.held <= 2 * 256 * 1024


async def test_a_client_that_closes_its_side_before_it_reads_gets_all_answers(gate: Gate, client: Client) -> None:
    await fill_with_unread_replies(gate, client)
    client.writer.write_eof()
    await gate.settle()

    for _ in range(UNREAD):
        assert (await client.answer())[0] == 200
    assert await client.rest() == b""


async def fill_with_unread_replies(gate: Gate, client: Client) -> None:
    """Ask for more than the sockets buffer, so that writing is paused and requests wait unread."""
    gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 1_000_000)
    client.send(GET * UNREAD)
    await gate.settle()
    assert len(gate.hot.requests) < UNREAD


async def test_an_extra_line_end_between_requests_is_ignored(client: Client) -> None:
    client.send(GET + b"\r\n" + GET)

    assert [(await client.answer())[0] for _ in range(2)] == [200, 200]


async def test_done_is_harmless_when_called_late_or_twice(gate: Gate, client: Client) -> None:
    gate.hot.is_holding = True
    client.post("/a", b"x" * 1000)
    await gate.settle()
    done = gate.hot.waiting.pop()
    done(Reply(200, JSON, b"one"))
    done(Reply(200, JSON, b"two"))
    assert (await client.answer())[2] == b"one"

    client.post("/b", b"x" * 1000)
    await gate.settle()
    client.writer.transport.abort()
    await gate.settle()
    gate.hot.waiting.pop()(Reply(200, JSON, b"late"))
    await gate.settle()
    assert gate.connections == []
    assert gate.front.held == 0


async def test_a_hot_path_that_raises_is_answered_500(
    gate: Gate, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Any) -> Reply:
        raise LookupError("cause")

    gate.hot.reply = fail
    client.send(GET)
    status, headers, body = await client.answer()

    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert json.loads(body)["requestId"] == headers["x-request-id"]
    assert b"cause" not in body
    assert "GET /a failed" in caplog.text


class TestClosing:
    @pytest.mark.parametrize(
        "request_",
        [
            GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            b"GET /a HTTP/1.0\r\n\r\n",
        ],
    )
    async def test_the_client_may_ask_for_it(self, client: Client, request_: bytes) -> None:
        client.send(request_)
        assert (await client.answer())[1]["connection"] == "close"
        assert await client.rest() == b""

    async def test_http_1_0_may_keep_the_connection(self, client: Client) -> None:
        for _ in range(2):
            client.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await client.answer())[1]["connection"] == "keep-alive"

    async def test_a_half_closed_client_gets_its_answers(self, gate: Gate, client: Client) -> None:
        gate.hot.is_holding = True
        client.send(GET + GET)
        client.writer.write_eof()
        for _ in range(2):
            await gate.settle()
            gate.hot.waiting.pop()(Reply(200, JSON, b"still here"))
            assert (await client.answer())[2] == b"still here"
        assert await client.rest() == b""

    @pytest.mark.parametrize("part", [GET[:-2], b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd"])
    async def test_a_half_closed_client_with_half_a_request(self, gate: Gate, client: Client, part: bytes) -> None:
        client.send(part)
        client.writer.write_eof()

        assert (await client.answer())[0] == 400
        assert await client.rest() == b""
        assert gate.hot.requests == []

    async def test_an_idle_client_that_closes(self, gate: Gate, client: Client) -> None:
        client.send(GET)
        await client.answer()
        client.writer.write_eof()

        assert await client.rest() == b""


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "status", "code"),
        [
            (b"NONSENSE\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400, "malformed_request"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413, "payload_too_large"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD, 431, "head_too_large"),
            (b"GET /" + b"x" * MAX_HEAD, 431, "head_too_large"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431, "head_too_large"),
        ],
    )
    async def test_a_refusal_is_a_problem_and_closes(
        self, gate: Gate, client: Client, data: bytes, status: int, code: str
    ) -> None:
        before = sample("agentgate_front_refusals_total", status=str(status))
        client.send(data)
        answered, headers, body = await client.answer()

        problem = json.loads(body)
        assert (answered, problem["status"], problem["code"]) == (status, status, code)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"] == problem["requestId"]
        assert headers["cache-control"] == "no-store"
        assert headers["connection"] == "close"
        assert await client.rest() == b""
        assert gate.hot.requests == []
        assert sample("agentgate_front_refusals_total", status=str(status)) == before + 1

    async def test_the_oauth_endpoints_have_their_own_format(self, client: Client) -> None:
        client.send(b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        status, headers, body = await client.answer()

        assert (status, json.loads(body)["error"]) == (411, "invalid_request")
        assert headers["content-type"] == "application/json"
        assert headers["x-request-id"].startswith("req_")

    async def test_a_well_formed_request_id_is_kept(self, client: Client) -> None:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: trace-0001\r\nContent-Length: 99999999\r\n\r\n")
        _, headers, body = await client.answer()

        assert (headers["x-request-id"], json.loads(body)["requestId"]) == ("trace-0001", "trace-0001")

    async def test_the_connection_goes_on_behind_a_body_that_is_a_little_too_long(
        self, gate: Gate, client: Client
    ) -> None:
        client.post("/a", b"x" * TOO_LONG)
        client.post("/b", b"next")

        assert (await client.answer())[0] == 413
        assert (await client.answer())[2] == b"/b next"
        assert [request.path for request in gate.hot.requests] == ["/b"]

    async def test_the_answer_arrives_although_the_client_sends_first(self, client: Client) -> None:
        client.send(
            b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"x" * (MAX_DISCARDED - 1000)
        )
        await client.writer.drain()

        assert (await client.answer())[0] == 411

    async def test_what_follows_a_refusal_is_never_a_request(self, gate: Gate, client: Client) -> None:
        client.send(CHUNKED + GET)
        assert (await client.answer())[0] == 411
        client.send(GET)

        assert await client.rest() == b""
        assert gate.hot.requests == []

    async def test_not_more_is_discarded_than_the_limit(self, gate: Gate, client: Client) -> None:
        client.send(CHUNKED)
        await client.answer()
        with pytest.raises(ConnectionError):
            await client.send_forever()
        assert gate.connections == []


class TestSizes:
    """A form of 2 MiB takes a third of a second to parse, and needs no credential."""

    FORM = "Content-Type: application/x-www-form-urlencoded"
    JSON = "Content-Type: application/json"

    @pytest.mark.parametrize(
        ("path", "content_type", "most"),
        [
            ("/oauth/token", FORM, MAX_OAUTH_BODY),
            ("/%6fauth/token", FORM, MAX_OAUTH_BODY),
            ("/oauth/register", JSON, MAX_OAUTH_BODY),
            ("/accounts/login/", FORM, MAX_PAGE_BODY),
            ("/accounts/login/", JSON, MAX_PAGE_BODY),
            ("/api/v1/agents", FORM, MAX_PAGE_BODY),
            ("/api/v1/agents", "X-None: none", MAX_PAGE_BODY),
            ("/api/v1/agents", JSON, MAX_BODY_BYTES),
            ("/api/v1/agents", "Content-Type: Application/JSON; charset=utf-8", MAX_BODY_BYTES),
        ],
    )
    async def test_a_longer_body_than_the_path_needs_is_refused(
        self, gate: Gate, client: Client, path: str, content_type: str, most: int
    ) -> None:
        client.post(path, b"x" * most, content_type)
        assert (await client.answer())[0] == 200
        client.post(path, b"x" * (most + 1), content_type)
        status, _, body = await client.answer()

        assert status == 413
        assert f"The body must be at most {most} bytes here." in body.decode()
        assert len(gate.hot.requests) == 1


class TestExpect:
    HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"

    async def test_the_client_is_told_to_send(self, client: Client) -> None:
        client.send(self.HEAD % 4)
        assert (await client.answer())[0] == 100
        client.send(b"body")
        assert (await client.answer())[2] == b"/a body"

    async def test_a_body_that_is_too_long_is_refused_instead(self, client: Client) -> None:
        client.send(self.HEAD % TOO_LONG)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (413, "close")

    @pytest.mark.parametrize("body", [b"body", b"bo"])
    async def test_a_body_that_has_begun_needs_no_telling(self, client: Client, body: bytes) -> None:
        client.send(self.HEAD % 4 + body)
        await asyncio.sleep(0)
        client.send(b"body"[len(body) :])
        assert (await client.answer())[2] == b"/a body"


class TestTimes:
    async def test_headers_have_ten_seconds(self, gate: Gate, client: Client) -> None:
        client.send(GET[:-1])
        await gate.pass_time(9)
        assert len(gate.connections) == 1
        await gate.pass_time(11)

        status, _, body = await client.answer()
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert await client.rest() == b""

    async def test_more_bytes_do_not_prolong_it(self, gate: Gate, client: Client) -> None:
        client.send(GET[:5])
        await gate.pass_time(9)
        client.send(GET[5:9])
        await gate.pass_time(11)

        assert (await client.answer())[0] == 408

    async def test_the_first_byte_does_not_prolong_the_time_of_the_first_request(
        self, gate: Gate, client: Client
    ) -> None:
        await gate.pass_time(9)
        client.send(GET[:5])
        await gate.pass_time(11)

        assert (await client.answer())[0] == 408

    async def test_the_time_of_a_later_request_begins_with_its_first_byte(self, gate: Gate, client: Client) -> None:
        client.send(GET)
        await client.answer()
        await gate.pass_time(60)
        client.send(GET[:5])
        await gate.pass_time(69)
        assert len(gate.connections) == 1
        await gate.pass_time(71)

        assert (await client.answer())[0] == 408

    async def test_a_body_has_ten_seconds(self, gate: Gate, client: Client) -> None:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd")
        await gate.pass_time(9)
        assert len(gate.connections) == 1
        await gate.pass_time(11)

        assert (await client.answer())[0] == 408
        assert gate.hot.requests == []

    async def test_an_answer_may_take_any_time(self, gate: Gate, client: Client) -> None:
        gate.hot.is_holding = True
        client.send(GET)
        await gate.pass_time(1000)
        gate.hot.waiting.pop()(Reply(200, JSON, b"late"))

        assert (await client.answer())[2] == b"late"

    async def test_a_client_that_sends_nothing_is_disconnected(self, gate: Gate, client: Client) -> None:
        await gate.pass_time(11)
        assert await client.rest() == b""

    async def test_an_idle_connection_is_kept_for_75_seconds(self, gate: Gate, client: Client) -> None:
        client.send(GET)
        await client.answer()
        await gate.pass_time(74)
        client.send(GET)
        await client.answer()
        await gate.pass_time(148)
        assert len(gate.connections) == 1
        await gate.pass_time(150)

        assert await client.rest() == b""

    async def test_a_client_that_stays_after_a_refusal_is_disconnected(self, gate: Gate, client: Client) -> None:
        client.send(b"NONSENSE\r\n\r\n")
        await client.answer()
        await gate.pass_time(6)

        assert gate.connections == []

    async def test_a_client_that_stalls_in_a_refused_body_is_disconnected(self, gate: Gate, client: Client) -> None:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nabc" % TOO_LONG)
        assert (await client.answer())[0] == 413
        await gate.pass_time(11)

        assert await client.rest() == b""

    async def test_a_connection_is_idle_behind_a_refused_body(self, gate: Gate, client: Client) -> None:
        client.post("/a", b"x" * TOO_LONG)
        assert (await client.answer())[0] == 413
        await gate.pass_time(74)
        assert len(gate.connections) == 1
        await gate.pass_time(76)

        assert await client.rest() == b""

    async def test_a_client_that_reads_nothing_is_disconnected(self, gate: Gate, client: Client) -> None:
        client.writer.transport.pause_reading()
        gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 20_000_000)
        client.send(GET)
        await gate.pass_time(0)
        await gate.pass_time(9)
        assert len(gate.connections) == 1
        await gate.pass_time(11)

        assert gate.connections == []

    async def test_a_client_that_reads_slowly_gets_everything(self, gate: Gate, client: Client) -> None:
        gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 20_000_000)
        client.writer.transport.pause_reading()
        client.send(GET + GET)
        await gate.pass_time(0)
        client.writer.transport.resume_reading()
        await client.head()
        for time in range(9, 90, 9):
            await client.read(2_000_000)
            await gate.pass_time(time)
        await client.read(2_000_000)

        assert len((await client.answer())[2]) == 20_000_000


class TestBounds:
    async def test_clients_beyond_the_limit_get_an_answer(
        self, gate: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 2)
        gate.hot.is_holding = True
        accepted = [await connect() for _ in range(2)]
        for client in accepted:
            client.send(GET)
        await gate.settle()
        refused = await connect()
        refused.send(GET)

        status, headers, body = await refused.answer()
        assert (status, json.loads(body)["code"]) == (503, "unavailable")
        assert headers["retry-after"] == "1"
        assert await refused.rest() == b""
        for client in accepted:
            gate.hot.waiting.pop(0)(Reply(200, JSON, b""))
            assert (await client.answer())[0] == 200

    async def test_clients_far_beyond_the_limit_are_cut_off(
        self, gate: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 1)
        gate.hot.is_holding = True
        for _ in range(2):
            (await connect()).send(GET)
            await gate.settle()
        cut_off = await connect()

        with suppress(ConnectionError):  # depending on whether the kernel reports the end or the reset first
            assert await cut_off.rest() == b""
        assert len(gate.connections) == 2

    async def test_bodies_of_all_connections_are_limited_together(
        self, gate: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounds, "MAX_HELD", 100_000)
        first, second = await connect(), await connect()
        first.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 60_000)
        await gate.settle()
        second.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 60_000)
        assert (await second.answer())[0] == 503

        first.writer.transport.abort()
        await gate.settle()
        assert gate.front.held == 0

    async def test_input_ahead_of_all_connections_counts_too(
        self, gate: Gate, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounds, "MAX_HELD", 100_000)
        gate.hot.is_holding = True
        client.send(GET)
        await gate.settle()
        client.send(GET * 10_000)
        await gate.settle()

        assert gate.connections == []
        assert gate.front.held == 0

    async def test_unread_replies_are_limited_together(
        self, gate: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounds, "MAX_UNSENT", 10_000_000)
        gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 15_000_000 if request.path == "/long" else b"short")
        greedy, modest = await connect(), await connect()
        greedy.writer.transport.pause_reading()
        greedy.send(GET.replace(b"/a", b"/long"))
        await gate.pass_time(0)
        await gate.pass_time(1)
        modest.send(GET)

        assert (await modest.answer())[2] == b"short"
        assert len(gate.connections) == 1


class TestStopping:
    async def test_what_is_in_hand_is_answered(self, gate: Gate, client: Client) -> None:
        gate.hot.is_holding = True
        client.send(GET)
        await gate.settle()
        for connection in gate.connections:
            connection.shutdown()
        gate.hot.waiting.pop()(Reply(200, JSON, b"last"))

        _, headers, body = await client.answer()
        assert (body, headers["connection"]) == (b"last", "close")
        assert await client.rest() == b""

    async def test_what_is_arriving_is_answered(self, gate: Gate, client: Client) -> None:
        client.send(GET[:10])
        await gate.settle()
        for connection in gate.connections:
            connection.shutdown()
        client.send(GET[10:])

        assert (await client.answer())[1]["connection"] == "close"

    async def test_a_connection_gets_a_moment_behind_a_refused_body(self, gate: Gate, client: Client) -> None:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % TOO_LONG)
        assert (await client.answer())[0] == 413
        for connection in gate.connections:
            connection.shutdown()
        client.send(b"x" * TOO_LONG)
        await gate.pass_time(2)

        assert await client.rest() == b""

    async def test_an_idle_connection_gets_a_moment(self, gate: Gate, client: Client) -> None:
        client.send(GET)
        await client.answer()
        for connection in gate.connections:
            connection.shutdown()
        await gate.pass_time(0.5)
        client.send(GET)
        assert (await client.answer())[0] == 200

    async def test_an_idle_connection_is_closed_after_it(self, gate: Gate, client: Client) -> None:
        client.send(GET)
        await client.answer()
        for connection in gate.connections:
            connection.shutdown()
        await gate.pass_time(2)

        assert await client.rest() == b""
