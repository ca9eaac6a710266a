"""The request line and the headers."""

import pytest

from core.errors import DomainError
from server.front.bounds import MAX_FIELDS, MAX_REQUEST_LINE
from server.front.heads import MAY_APPEAR_ONCE, Head, parse_head
from tests.shared import cases

TOKEN_CHARACTERS = "!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

NO_LENGTHS = ("", "-1", "+2", "x", "1.0", "0x2", "2, 2", "2 2", "9" * 30, "\xb2")


def head(*lines: str, line: str = "GET /a HTTP/1.1", host: str = "Host: gate") -> Head:
    fields = [host, *lines] if host else lines
    return parse_head("\r\n".join([line, *fields, "", ""]).encode("latin-1"))


def refused(*lines: str, **options: str) -> int:
    """Return the status with which the head is refused."""
    with pytest.raises(DomainError) as caught:
        head(*lines, **options)
    return caught.value.status


def test_a_head_is_read_completely() -> None:
    parsed = head("Content-Length: 12", "X-A:  b\tc \t", line="POST /a%20b/?x=%00&y HTTP/1.1")

    assert (parsed.method, parsed.path, parsed.query) == ("POST", "/a%20b/", "x=%00&y")
    assert parsed.headers == {"host": "gate", "content-length": "12", "x-a": "b\tc"}
    assert (parsed.http_version, parsed.length) == ("1.1", 12)


def test_values_are_latin_1() -> None:
    assert head("X-A: \xe9\xff").headers["x-a"] == "\xe9\xff"


def test_repeated_headers_are_joined() -> None:
    parsed = head("Accept: a", "Cookie: a=1", "accept: b", "COOKIE: b=2")

    assert parsed.headers["accept"] == "a, b"
    assert parsed.headers["cookie"] == "a=1; b=2"


@cases("name", sorted(MAY_APPEAR_ONCE))
def test_a_header_that_decides_something_may_appear_once(name: str) -> None:
    host = "" if name == "host" else "Host: gate"
    assert refused(f"{name}: 1", f"{name.title()}: 1", host=host) == 400


@cases("name", ["X_Forwarded_For", "X_Forwarded-For", "_", "Content_Length"])
def test_a_name_with_an_underscore_is_refused(name: str) -> None:
    assert refused(f"{name}: 1") == 400


@cases("code", [code for code in range(256) if chr(code) not in f"{TOKEN_CHARACTERS}:"])
def test_a_name_that_is_not_a_token_is_refused(code: int) -> None:
    assert refused(f"X{chr(code)}A: 1") == 400


@cases("character", TOKEN_CHARACTERS)
def test_every_token_is_accepted(character: str) -> None:
    assert head(f"X{character}A: 1").headers[f"x{character}a".lower()] == "1"


@cases("code", [*range(9), *range(10, 32), 127])
def test_a_control_character_in_a_value_is_refused(code: int) -> None:
    assert refused(f"X-A: b{chr(code)}c") == 400


@cases(
    "line",
    [
        *("GET /", "GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/2.0", "PRI * HTTP/2.0", "GET / ICE/1.0"),
        *("SETUP / RTSP/1.0", "GET / HTTP/1.1 ", "GET\t/ HTTP/1.1", "GET /a b HTTP/1.1", "G@T / HTTP/1.1"),
        *("GET / HTTP/1.1\n", "GET / HTTP/1.1\r", "GET /\x00 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\xe9 HTTP/1.1"),
        *("GET /a#b HTTP/1.1", "GET a HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT gate:443 HTTP/1.1", "", "NONSENSE"),
        *("GET http:// HTTP/1.1", "GET http://user@gate/ HTTP/1.1", "GET ftp://gate/ HTTP/1.1", "GET //x#y HTTP/1.1"),
    ],
)
def test_any_other_request_line_is_refused(line: str) -> None:
    assert refused(line=line) == 400


@cases(
    ("target", "path", "query"),
    [
        ("http://other:81/a?b", "/a", "b"),
        ("HTTPS://other:81", "/", ""),
        ("http://other:81?b", "/", "b"),
        ("http://other:81/a/http://c", "/a/http://c", ""),
    ],
)
def test_the_host_of_an_absolute_target_replaces_the_header(target: str, path: str, query: str) -> None:
    parsed = head(line=f"GET {target} HTTP/1.1")

    assert (parsed.path, parsed.query, parsed.headers["host"]) == (path, query, "other:81")


def test_a_path_that_looks_like_a_host_stays_a_path() -> None:
    assert head(line="GET //evil.example/a HTTP/1.1").path == "//evil.example/a"


@cases(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 2"),
        ("Content-Length: 2", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        ("X: y\r\n Transfer-Encoding: chunked",),
        ("X: y\rTransfer-Encoding: chunked",),
        ("X: y\nTransfer-Encoding: chunked",),
        *(
            (f"Content-Length: {value}",)
            for value in ("", "-1", "+2", "x", "1.0", "0x2", "2, 2", "2 2", "9" * 30, "\xb2")
        ),
    ],
)
def test_what_hides_the_end_of_a_body_is_refused(lines: tuple[str, ...]) -> None:
    assert refused(*lines) == 400


@cases("coding", ["chunked", "Chunked", "gzip, chunked"])
def test_a_body_must_declare_its_length(coding: str) -> None:
    assert refused(f"Transfer-Encoding: {coding}") == 411


def test_http_1_1_requires_a_host() -> None:
    assert refused(host="") == 400
    assert head(line="GET / HTTP/1.0", host="").headers == {}


@cases(
    ("version", "connection", "keeps_alive"),
    [
        *(("1.1", "", True), ("1.1", "close", False), ("1.1", "x, Close", False), ("1.1", "keep-alive", True)),
        *(("1.0", "", False), ("1.0", "keep-alive", True), ("1.0", "Keep-Alive, close", False)),
    ],
)
def test_keep_alive(version: str, connection: str, keeps_alive: bool) -> None:
    lines = [f"Connection: {connection}"] if connection else []
    assert head(*lines, line=f"GET / HTTP/{version}").keeps_alive is keeps_alive


def test_an_upgrade_is_ignored() -> None:
    parsed = head("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3")

    assert (parsed.length, parsed.keeps_alive) == (3, True)


def test_only_http_1_1_clients_wait_for_100_continue() -> None:
    assert head("Expect: 100-Continue").expects_continue
    assert not head("Expect: 100-continue", line="POST / HTTP/1.0").expects_continue
    assert not head("Expect: something").expects_continue


def test_the_number_of_headers_is_limited() -> None:
    assert len(head(*(f"X-{number}: a" for number in range(MAX_FIELDS - 1))).headers) == MAX_FIELDS
    assert refused(*("X: a" for _ in range(MAX_FIELDS))) == 431


def test_the_request_line_is_limited() -> None:
    longest = "GET /" + "a" * (MAX_REQUEST_LINE - len("GET / HTTP/1.1")) + " HTTP/1.1"

    assert len(head(line=longest).path) == MAX_REQUEST_LINE - len("GET  HTTP/1.1")
    assert refused(line=longest.replace("/", "/a", 1)) == 431
