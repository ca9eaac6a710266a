"""Replies in the format of HTTP/1.1. Header names and values are checked, so that none can add a line."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus

from core.ids import choose_request_id
from core.messages import Reply
from server.front.heads import Head

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The front sets these itself.
OWN = frozenset(("connection", "content-length", "date", "keep-alive", "transfer-encoding"))
WITHOUT_BODY = frozenset((204, 304))
CHUNKED = "Transfer-Encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"
# By whether the connection stays open. HTTP/1.1 does not say so.
CONNECTION = {True: "Connection: keep-alive\r\n", False: "Connection: close\r\n"}

Headers = Sequence[tuple[str, str]]


class UnsafeHeader(ValueError):
    """A header of the reply has an invalid name or value."""


def encode(reply: Reply, head: Head, date: str, *, keeps_alive: bool) -> bytes:
    """Return a complete reply. Raises `UnsafeHeader`."""
    if reply.status in WITHOUT_BODY:
        return encode_head(reply, head, date, "", keeps_alive=keeps_alive)
    if head.method == "HEAD":
        length = declared_length(reply.headers) or str(len(reply.body))
        return encode_head(reply, head, date, f"Content-Length: {length}\r\n", keeps_alive=keeps_alive)
    framing = f"Content-Length: {len(reply.body)}\r\n"
    return encode_head(reply, head, date, framing, keeps_alive=keeps_alive) + reply.body


def encode_head(reply: Reply, head: Head, date: str, framing: str, *, keeps_alive: bool) -> bytes:
    """Return the status line and the headers. `framing` is the header line that tells where the body ends."""
    status = STATUS_LINES.get(reply.status) or f"HTTP/1.1 {reply.status} \r\n"
    lines = reply.lines or _id_line(reply, head)
    own = "".join(encode_headers(reply.headers)) if reply.headers else ""
    connection = "" if keeps_alive and head.http_version == "1.1" else CONNECTION[keeps_alive]
    return f"{status}{lines}{own}Date: {date}\r\n{framing}{connection}\r\n".encode("latin-1")


def _id_line(reply: Reply, head: Head) -> str:
    """Return the header X-Request-Id, unless the reply has one."""
    if any(_lower_token(name) == "x-request-id" for name, _ in reply.headers):
        return ""
    return f"X-Request-Id: {choose_request_id(head.headers.get('x-request-id', ''))}\r\n"


def encode_headers(headers: Headers) -> Iterator[str]:
    """Yield the lines of the headers that the front does not set itself. Raises `UnsafeHeader`."""
    for name, value in headers:
        if _lower_token(name) in OWN:
            continue
        if not (value.isascii() and value.isprintable()) and CONTROL.search(value):
            raise UnsafeHeader(f"The value of {name} contains a control character.")
        yield f"{name}: {value}\r\n"


def encode_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def declared_length(headers: Headers) -> str | None:
    return next((value for name, value in headers if name.lower() == "content-length"), None)


@lru_cache(512)
def _lower_token(name: str) -> str:
    if not TOKEN.fullmatch(name):
        raise UnsafeHeader("A header's name is not a token.")
    return name.lower()
