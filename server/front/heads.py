"""The head of a request: its request line and headers, parsed by llhttp in its strict mode."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from api.parsers import MAX_BODY_BYTES, MalformedRequest
from api.problems import HeadTooLarge, LengthRequired
from server.front.bounds import MAX_FIELDS, MAX_OAUTH_BODY, MAX_PAGE_BODY, MAX_REQUEST_LINE

# Readers of a repeated header disagree about which one counts. These decide who asks, and where a request ends.
MAY_APPEAR_ONCE = frozenset(
    (
        *("host", "content-length", "content-type", "transfer-encoding"),
        *("authorization", "x-api-key", "x-organization", "idempotency-key", "x-request-id"),
        *("x-required-scopes", "x-resource-server"),
        *("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
    )
)
# The absolute form, which proxies use (RFC 9112 section 3.2.2).
ABSOLUTE = re.compile(r"https?://([^/?@]+)([/?].*)?", re.IGNORECASE)


class Head(NamedTuple):
    """`limit` is how many bytes the body may have. `memo` is that of all requests with this head of a connection."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    http_version: str
    length: int
    limit: int
    keeps_alive: bool
    expects_continue: bool
    memo: dict[Any, Any]


class _Reader:
    """The callbacks of llhttp."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def parse_head(data: bytes) -> Head:
    """Return the head in `data`, which ends with an empty line. Raises a `DomainError` with the status to answer."""
    if data.find(b"\r\n", 0, MAX_REQUEST_LINE + 2) < 0:
        raise HeadTooLarge(f"The request line must be at most {MAX_REQUEST_LINE} bytes.")
    reader = _Reader()
    parser = HttpRequestParser(reader)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # no other protocol is spoken, so the request is answered as if it had not asked (RFC 9110 section 7.8)
    except HttpParserError as error:
        raise MalformedRequest(f"The request's head is not valid HTTP: {error}.") from error
    version = parser.get_http_version()
    if not reader.is_complete or version not in ("1.0", "1.1") or b" HTTP/" not in data.partition(b"\r\n")[0]:
        raise MalformedRequest("Use HTTP/1.1 or HTTP/1.0.")
    headers = _headers(reader.fields)
    path, query, host = _target(reader.url.decode("ascii"))
    if host:
        headers["host"] = host
    _check(headers, version)
    options = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    return Head(
        method=parser.get_method().decode("ascii"),
        path=path,
        query=query,
        headers=headers,
        http_version=version,
        length=int(headers.get("content-length", "0")),
        limit=_body_limit(path, headers),
        keeps_alive="close" not in options and (version == "1.1" or "keep-alive" in options),
        expects_continue=version == "1.1" and headers.get("expect", "").lower() == "100-continue",
        memo={},
    )


def _body_limit(path: str, headers: Mapping[str, str]) -> int:
    """Return how many bytes the body may have. A form takes much longer to parse than JSON of the same length."""
    path = unquote(path)  # as Django reads it
    if path.startswith("/oauth/"):
        return MAX_OAUTH_BODY
    is_json = headers.get("content-type", "").lower().startswith("application/json")
    return MAX_BODY_BYTES if is_json and path.startswith("/api/") else MAX_PAGE_BODY


def _headers(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by their lower-case names. Repeated ones are joined (RFC 9110 section 5.3, RFC 6265)."""
    if len(fields) > MAX_FIELDS:
        raise HeadTooLarge(f"At most {MAX_FIELDS} headers.")
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1").strip(" \t")
        if "_" in name:
            # CGI and WSGI give `X_Forwarded_For` and `X-Forwarded-For` the same name.
            raise MalformedRequest("A header's name contains an underscore. Use a hyphen.")
        if name in headers:
            if name in MAY_APPEAR_ONCE:
                raise MalformedRequest(f"The header {name} appears more than once.")
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return headers


def _target(url: str) -> tuple[str, str, str]:
    """Return the path, the query, and the host if the target names one, which then replaces the Host header."""
    absolute = ABSOLUTE.fullmatch(url)
    host, target = (absolute[1], absolute[2] or "/") if absolute else ("", url)
    if target.startswith("?"):
        target = f"/{target}"
    if not target.startswith("/") or "#" in target:
        raise MalformedRequest("The request target must be a path without a fragment.")
    path, _, query = target.partition("?")
    return path, query, host


def _check(headers: Mapping[str, str], version: str) -> None:
    if "transfer-encoding" in headers:
        raise LengthRequired("Send a Content-Length header instead of Transfer-Encoding.")
    if version == "1.1" and "host" not in headers:
        raise MalformedRequest("The Host header is missing.")
