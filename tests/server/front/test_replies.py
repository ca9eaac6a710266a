"""The bytes of a reply."""

import pytest

from core.messages import Reply
from server.front.heads import Head, parse_head
from server.front.replies import UnsafeHeader, encode
from tests.shared import cases

DATE = "Wed, 25 Nov 2026 14:00:00 GMT"


def head(method: str = "GET", version: str = "1.1", *lines: str) -> Head:
    return parse_head("\r\n".join([f"{method} / HTTP/{version}", "Host: a", *lines, "", ""]).encode())


def lines_of(reply: Reply, asked: Head | None = None, *, keeps_alive: bool = True) -> list[str]:
    return encode(reply, asked or head(), DATE, keeps_alive=keeps_alive).decode("latin-1").split("\r\n")


def test_a_reply_has_a_length_a_date_and_an_id() -> None:
    reply = Reply(
        201,
        [("Content-Type", "text/plain"), ("X-Request-Id", "req_1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")],
        b"ok",
    )

    assert lines_of(reply) == [
        "HTTP/1.1 201 Created",
        "Content-Type: text/plain",
        "X-Request-Id: req_1",
        "Set-Cookie: a",
        "Set-Cookie: b",
        f"Date: {DATE}",
        "Content-Length: 2",
        "",
        "ok",
    ]


def test_an_id_is_added_if_the_reply_has_none() -> None:
    assert "X-Request-Id: trace-0001" in lines_of(Reply(200, ()), head("GET", "1.1", "X-Request-Id: trace-0001"))
    assert any(
        line.startswith("X-Request-Id: req_")
        for line in lines_of(Reply(200, ()), head("GET", "1.1", "X-Request-Id: <>"))
    )


def test_formatted_lines_have_an_id() -> None:
    reply = Reply(200, [("Content-Type", "text/plain")], b"ok", "Vary: Cookie\r\nX-Request-Id: req_1\r\n")

    assert lines_of(reply)[1:4] == ["Vary: Cookie", "X-Request-Id: req_1", "Content-Type: text/plain"]
    assert sum(line.startswith("X-Request-Id") for line in lines_of(reply)) == 1


@cases("name", ["Content-Length", "content-length", "Transfer-Encoding", "Connection", "Date"])
def test_headers_of_the_connection_are_the_fronts(name: str) -> None:
    assert f"{name}: 7" not in lines_of(Reply(200, [(name, "7")], b"ok"))


def test_head_has_the_length_and_no_body() -> None:
    assert lines_of(Reply(200, (), b"body"), head("HEAD"))[-3:] == ["Content-Length: 4", "", ""]
    assert lines_of(Reply(200, [("Content-Length", "9")]), head("HEAD"))[-3:] == ["Content-Length: 9", "", ""]


@cases("status", [204, 304])
def test_some_replies_have_no_body(status: int) -> None:
    reply = lines_of(Reply(status, [("Content-Length", "0")], b"never"))

    assert reply[-2:] == ["", ""]
    assert not any(line.startswith("Content-Length") for line in reply)


def test_the_end_of_the_connection_is_announced() -> None:
    assert "Connection: close" in lines_of(Reply(200, ()), keeps_alive=False)
    assert "Connection: keep-alive" in lines_of(Reply(200, ()), head("GET", "1.0"))
    assert "Connection: close" in lines_of(Reply(200, ()), head("GET", "1.0"), keeps_alive=False)


def test_an_unusual_status_is_sent() -> None:
    assert lines_of(Reply(499, ()))[0] == "HTTP/1.1 499 "


@cases("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", "\n"])
def test_a_value_cannot_add_a_line(value: str) -> None:
    with pytest.raises(UnsafeHeader):
        lines_of(Reply(200, [("Location", value)]))


@cases("name", ["", "a b", "a:", "a\r\nb", "\xe9"])
def test_a_name_must_be_a_token(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        lines_of(Reply(200, [(name, "a")]))


def test_values_may_be_latin_1_with_tabs() -> None:
    assert "X-A: \xe9\ta" in lines_of(Reply(200, [("X-A", "\xe9\ta")]))


def test_any_other_value_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        lines_of(Reply(200, [("X-A", "\u20ac")]))
