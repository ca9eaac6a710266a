"""Requests that the event loop leaves to Django, which answers them with the status beside each."""

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

import orjson
import pytest

from api.v1.direct import MAX_BODY, MAX_COMMAS, MAX_CONTAINERS, MAX_RECEIPTS
from api.v1.schemas.tokens import MAX_BATCH, MAX_CONTEXT_BYTES
from audit.signing import log_keys
from core.messages import Reply, Request
from oauth.parameters import MAX_FORM, MAX_SEPARATORS
from server.front import headers
from server.front.hot import HotPaths
from tests.server.hot.both import Both, Sent, ask_django
from tests.server.hot.requests import (
    BATCH,
    FORM,
    FORWARD,
    HEALTH,
    INTROSPECT,
    JSON,
    UNKNOWN,
    VERIFY,
    basic_of,
    batch,
    forward,
    get,
    introspect,
    post,
    question,
    verify,
)

GOOD = orjson.dumps(question(UNKNOWN))
CALLER = basic_of("res_a:rs_a")
PROXY, OTHER = "127.0.0.2", "127.0.0.3"

Cases = Iterable[tuple[int, Sent]]


@pytest.fixture
def check(db: None, subtests: Any) -> Callable[[Cases], None]:
    """Return a function that checks that each request is left to Django, and what Django answers."""
    for known in (headers._address_of, headers.is_proxy, headers._is_host_allowed):
        known.cache_clear()
    hot = HotPaths()

    def check(cases: Cases) -> None:
        for status, sent in cases:
            with subtests.test(f"{sent.method} {sent.target} {sent.headers} {sent.body[:80]!r}"):
                assert not hot.answer(as_received(sent), never)
                assert ask_django(sent).status == status

    return check


def as_received(sent: Sent) -> Request:
    """Return the request as the front reads it."""
    path, _, query = sent.target.partition("?")
    lowered = {name.lower(): value for name, value in sent.headers.items()}
    return Request(sent.method, path, query, lowered, sent.body, sent.peer)


def never(reply: Reply) -> None:
    raise AssertionError(f"The event loop answered {reply}.")


def malformed() -> list[bytes]:
    """Return bodies that are no questions."""
    return [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"token": "\xff"}',
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        b"{} // no",
        b'{"token": NaN}',
        b'{"token": 9007199254740993}',
        b'{"token": 1e999}',
        b'{"token":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"token": "a", "token": "b", "requiredScopes": ["email:read"]}',
        GOOD.replace(b"}", b', "context": {"ip": "192.0.2.1", "ip": "192.0.2.2"}}'),
        GOOD.replace(b"not-a-token", rb"\ud800"),
        GOOD.replace(b"}", rb', "context": {"\udc00": 1}}'),
        b"{}",
        GOOD.replace(b"}", b', "tokens": []}'),
        GOOD.replace(b"}", rb', "\u202eno": []}'),
        b'{"requiredScopes": ["email:read"]}',
        orjson.dumps({"token": "x", "requiredScopes": []}),
        orjson.dumps(question(UNKNOWN, *(f"many:b{number}" for number in range(101)))),
        orjson.dumps(question(UNKNOWN, "no scope")),
        orjson.dumps({"token": "x", "requiredScopes": [1]}),
        orjson.dumps({"token": 1, "requiredScopes": ["email:read"]}),
        orjson.dumps(question(UNKNOWN, action="x" * 201)),
        orjson.dumps(question(UNKNOWN, action="a\nb")),
        orjson.dumps(question(UNKNOWN, context={"text": "x" * MAX_CONTEXT_BYTES})),
        orjson.dumps(question(UNKNOWN, context={"a": "\0"})),
        orjson.dumps(question(UNKNOWN, context={"ip": "fe80::1%eth0"})),
        orjson.dumps(question(UNKNOWN, context=[])),
    ]


def test_malformed_bodies(check: Callable[[Cases], None]) -> None:
    check((400, post(VERIFY, body)) for body in malformed())
    check((400, post(BATCH, b'{"requests": [' + body + b"]}")) for body in malformed() if body)
    check((400, batch(*[question(UNKNOWN)] * size)) for size in (0, MAX_BATCH + 1))


def test_bodies_of_other_types(check: Callable[[Cases], None]) -> None:
    types = ("text/plain", FORM, "multipart/form-data; boundary=x", "application/xml", "")
    for path in (VERIFY, BATCH):
        check((415, post(path, GOOD, media_type)) for media_type in types)
        check((400, post(path, b"", media_type)) for media_type in (*types, JSON))


def test_what_takes_long_to_parse(check: Callable[[Cases], None]) -> None:
    """Threads parse it, because it would block the event loop. Some of it is short."""
    bodies = [
        orjson.dumps({"token": "x" * MAX_BODY, "requiredScopes": ["email:read"]}),
        orjson.dumps(question(UNKNOWN, context={"a": [{}] * MAX_CONTAINERS})),
        orjson.dumps(question(UNKNOWN, context={"a": [1] * (MAX_COMMAS + 1)})),
    ]
    for body in bodies:
        check([(200, post(VERIFY, body)), (200, post(BATCH, b'{"requests": [' + body + b"]}"))])
    forms = (f"token={UNKNOWN}&a={'x' * MAX_FORM}", f"token={UNKNOWN}" + "&a=" * (MAX_SEPARATORS + 1))
    check((400, post(INTROSPECT, form.encode(), FORM, Authorization=CALLER)) for form in forms)
    many = "&".join(f"a{number}=" for number in range(MAX_SEPARATORS + 2))
    check([(401, post(f"{INTROSPECT}?{many}", f"token={UNKNOWN}".encode(), FORM, Authorization=CALLER))])


def test_many_receipts_or_any_before_their_key_is_loaded(check: Callable[[Cases], None]) -> None:
    log_keys.load()
    check([(200, batch(*[question(UNKNOWN, receipt=True)] * (MAX_RECEIPTS + 1)))])
    log_keys.forget()
    check([(200, verify(UNKNOWN, receipt=True))])


def test_other_methods(check: Callable[[Cases], None]) -> None:
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
    for path in (VERIFY, BATCH, INTROSPECT, HEALTH):
        known = ("GET", "HEAD") if path == HEALTH else ("POST",)
        check((204 if method == "OPTIONS" else 405, get(path, method)) for method in methods if method not in known)
    check([(200, get(HEALTH, "HEAD"))])
    refused = ("TRACE", "PROPFIND")
    check((405, get(path, method)) for method in refused for path in (f"{FORWARD}?scopes=email:read", f"{FORWARD}/a"))


def test_other_spellings_of_the_paths(check: Callable[[Cases], None]) -> None:
    """Django decodes a path before it finds the view, so these are either the same path or no path."""
    check([(200, post("/api/v1/tokens/verif%79", GOOD)), (200, get("/api/v1/h%65alth"))])
    paths = (f"{VERIFY}/", f"/{VERIFY}", VERIFY.upper(), f"{VERIFY};a=b", f"{INTROSPECT}/")
    check((404, post(path, GOOD)) for path in paths)


def test_forwarded_requests_with_errors(check: Callable[[Cases], None]) -> None:
    many = "+".join(f"many:b{number}" for number in range(101))
    queries = [
        "",
        "?scopes=%20",
        "/inbox?scopes=email:read",
        f"?scopes={many}",
        "?scopes=no!",
        "?scopes=email:read&scopes=email:read",
        f"?scopes=email:read&action={'x' * 201}",
    ]
    check((400, forward(UNKNOWN, query)) for query in queries)


def test_forms_with_errors(check: Callable[[Cases], None]) -> None:
    forms = [
        b"",
        b"token=",
        b"token=a&token=b",
        b"token=a&b=1&b=2",
        b"token=%00",
        b"token=" + b"x" * 17_000,
        b"token=a&" + b"&".join(b"a%d=" % number for number in range(4000)),
    ]
    caller = {"Authorization": CALLER}
    check((400, post(INTROSPECT, form, FORM, **caller)) for form in forms)
    check([(400, post(INTROSPECT, b'{"token": "x"}', **caller)), (400, post(INTROSPECT, b"token=x", "", **caller))])
    check([(400, post(f"{INTROSPECT}?token=x", b"token=x", FORM, **caller))])


def test_missing_and_unreadable_credentials(check: Callable[[Cases], None], settings: Any) -> None:
    check([(401, post(INTROSPECT, b"token=x", FORM)), (401, introspect(UNKNOWN, "Bearer x"))])
    for each in (basic_of("res_a"), basic_of(":rs_a"), basic_of("res_a:\0"), "Basic !", "Digest abc"):
        check([(401, verify(UNKNOWN, caller=each)), (401, batch(question(UNKNOWN), caller=each))])
        check([(401, introspect(UNKNOWN, each)), (403, forward(UNKNOWN, caller=each))])
    check((400, verify(UNKNOWN).having(**{"Idempotency-Key": key})) for key in ("", "x" * 256))
    settings.VERIFY_REQUIRES_CREDENTIAL = True
    check([(401, verify(UNKNOWN)), (401, batch(question(UNKNOWN))), (403, forward(UNKNOWN))])


def test_wrong_hosts(check: Callable[[Cases], None]) -> None:
    hosts = ("evil.example", "localhost.evil.example", "localhost:port", "local host", "user@localhost", "::1")
    for sent in (verify(UNKNOWN), forward(UNKNOWN), get(HEALTH)):
        check((400, sent.having(Host=host, X_Forwarded_Host="localhost")) for host in hosts)


def test_plain_http_if_the_public_url_is_https(check: Callable[[Cases], None], settings: Any) -> None:
    """Only a trusted proxy can say that a request was sent over https."""
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)
    settings.IS_HTTPS = settings.SECURE_SSL_REDIRECT = True
    for sent in (verify(UNKNOWN), introspect(UNKNOWN, CALLER), forward(UNKNOWN), get(HEALTH)):
        status = 200 if sent.target == HEALTH else 301
        plain = [sent.at(PROXY), sent.at(OTHER), sent.having(X_Forwarded_Proto="https").at(OTHER)]
        plain += [sent.having(X_Forwarded_Proto=scheme).at(PROXY) for scheme in ("http", "HTTPS", "https,http")]
        check((status, each) for each in plain)


class TestWrongHosts:
    """Django's answer has the format of the path."""

    @pytest.mark.parametrize("path", [VERIFY, HEALTH, "/api/v1/agents", "/api/docs", "/api/nowhere"])
    def test_of_the_api(self, settings: Any, path: str) -> None:
        answer = ask_django(post(path, b"{}", Host="evil.example"))
        assert answer.header("Content-Type") == "application/problem+json"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.json == {
            "type": f"{settings.API_URL}/api/docs/errors#malformed_request",
            "title": "The request is malformed",
            "status": 400,
            "detail": "The Host header is not a host name of this server.",
            "code": "malformed_request",
            "requestId": answer.header("X-Request-Id"),
        }

    @pytest.mark.parametrize("path", [INTROSPECT, "/oauth/token", "/oauth/authorize", "/oauth/nowhere"])
    def test_of_oauth(self, path: str) -> None:
        answer = ask_django(post(path, b"token=x", FORM, Host="evil.example"))
        assert (answer.status, answer.header("Content-Type")) == (400, "application/json")
        assert answer.header("Cache-Control") == "no-store"
        description = "The Host header is not a host name of this server."
        assert answer.json == {"error": "invalid_request", "error_description": description}

    @pytest.mark.parametrize("path", ["/", "/accounts/login/", "/nowhere", "/apis"])
    def test_of_pages(self, path: str) -> None:
        answer = ask_django(get(path).having(Host="evil.example"))
        assert (answer.status, answer.header("Content-Type")) == (400, "text/html; charset=utf-8")


@pytest.mark.on_sqlite
def test_the_front_sends_what_is_left(both: Both) -> None:
    """Django's answer arrives at the client."""
    answer = both.ask(batch(question(UNKNOWN), question("", "no scope")), by="Django")
    assert [error["field"] for error in answer.json["errors"]] == ["requests.1.token", "requests.1.requiredScopes.0"]
