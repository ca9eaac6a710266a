"""Any invalid request gets a 4xx problem response, never a 5xx and never no response."""

from typing import Any

import httpx
import pytest

from tests.live.gate import CALLBACK, Agent, Developer, Gate, Person, expect
from tests.shared import cases

# One store is enough, because bodies are refused before it is used. PostgreSQL rejects NUL and surrogates.
pytestmark = pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)

JSON = "application/json"
VERIFY = "/tokens/verify"
POSTS = (
    "/developers/register",
    "/developers/login",
    "/users/register",
    "/users/login",
    "/consent/initiate",
    "/tokens/exchange",
    "/tokens/refresh",
    "/tokens/revoke",
    VERIFY,
)

BODIES: dict[str, tuple[int, bytes]] = {
    "nothing": (400, b""),
    "white space": (400, b" \n"),
    "half a document": (400, b'{"token": "a"'),
    "two documents": (400, b"{} {}"),
    "a comment": (400, b'{} // "token"'),
    "not UTF-8": (400, b'{"token": "\xff\xfe"}'),
    "UTF-16": (400, '{"token": "a"}'.encode("utf-16")),
    "a byte order mark": (400, b"\xef\xbb\xbf{}"),
    "a list": (400, b"[]"),
    "a string": (400, b'"token"'),
    "null": (400, b"null"),
    "depth 10,000 of lists": (400, b"[" * 10_000 + b"]" * 10_000),
    "depth 10,000 of objects": (400, b'{"token":' * 10_000 + b"1" + b"}" * 10_000),
    "depth 10,000, unclosed": (400, b"[" * 10_000),
    "a deep context": (400, b'{"token":"a","requiredScopes":["email:read"],"context":' + b"[" * 10_000),
    "NaN": (400, b'{"token": NaN}'),
    "Infinity": (400, b'{"token": -Infinity}'),
    "a number beyond float": (400, b'{"token": 1e999}'),
    "a number of 10,000 digits": (400, b'{"token": ' + b"9" * 10_000 + b"}"),
    "a lone surrogate": (400, b'{"token": "\\ud800"}'),
    "a lone surrogate as a key": (400, b'{"\\udfff": 1}'),
    "a duplicate key": (400, b'{"token": "a", "token": "b"}'),
    "a duplicate key, escaped": (400, b'{"token": "a", "\\u0074oken": "b"}'),
    "100,000 keys": (400, b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}"),
    "3 MB": (413, b'{"token": "' + b"x" * 3_000_000 + b'"}'),
}


@pytest.fixture
def developer(gate: Gate) -> Developer:
    return gate.developer()


@pytest.fixture
def agent(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer)


@pytest.fixture
def person(gate: Gate) -> Person:
    return gate.person()


def send(gate: Gate, path: str, content: bytes, content_type: str = JSON) -> httpx.Response:
    return gate.http.post(path, content=content, headers={"Content-Type": content_type})


def assert_problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that `answer` is a problem (RFC 9457) with one of `statuses`, and return it."""
    assert answer.status_code in statuses, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = dict(answer.json())
    assert {"type", "title", "status", "code", "requestId"} <= set(problem)
    assert problem["status"] == answer.status_code
    assert problem["requestId"] == answer.headers["x-request-id"]
    return problem


# Verify is parsed by the event loop, and the others by Django, all in the same way.
@cases("path", [VERIFY, "/users/register"])
@cases("name", BODIES)
def test_a_hostile_body_gets_a_problem_response(gate: Gate, path: str, name: str) -> None:
    status, body = BODIES[name]
    assert_problem(send(gate, path, body), status, 400)


@cases("path", POSTS)
@cases("name", ["a list", "a duplicate key", "depth 10,000 of lists", "a lone surrogate", "3 MB"])
def test_so_it_does_at_each_endpoint(gate: Gate, path: str, name: str) -> None:
    status, body = BODIES[name]
    assert_problem(send(gate, path, body), status, 400)


@cases("path", POSTS)
@cases(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "a",
    ],
)
def test_another_content_type_is_415(gate: Gate, path: str, content_type: str) -> None:
    problem = assert_problem(send(gate, path, b'{"token": "a"}', content_type), 415)
    assert problem["code"] == "unsupported_media_type"


@cases("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_other_spellings_of_the_json_content_type_are_accepted(gate: Gate, content_type: str) -> None:
    body = b'{"token": "a", "requiredScopes": ["email:read"]}'
    assert expect(200, send(gate, VERIFY, body, content_type))["reason"] == "invalid_token"


@cases(
    ("body", "field"),
    [
        ({"requiredScopes": ["email:read"]}, "token"),
        ({"token": "a"}, "requiredScopes"),
        ({"token": "a", "requiredScopes": []}, "requiredScopes"),
        ({"token": "a", "requiredScopes": "email:read"}, "requiredScopes"),
        ({"token": "a", "requiredScopes": [7]}, "requiredScopes"),
        ({"token": "a", "requiredScopes": [None]}, "requiredScopes"),
        ({"token": 7, "requiredScopes": ["email:read"]}, "token"),
        ({"token": None, "requiredScopes": ["email:read"]}, "token"),
        ({"token": ["a"], "requiredScopes": ["email:read"]}, "token"),
        ({"token": "a", "requiredScopes": ["email:read"], "context": "ip"}, "context"),
        ({"token": "a", "requiredScopes": ["email:read"], "context": {"ip": 7}}, "context.ip"),
        ({"token": "a", "requiredScopes": ["email:read"], "action": {}}, "action"),
        ({"token": "a", "requiredScopes": ["email:read"], "requiredScope": "x"}, "requiredScope"),
    ],
)
def test_a_malformed_verify_names_the_field(gate: Gate, body: Any, field: str) -> None:
    problem = assert_problem(gate.post(VERIFY, body), 400)
    assert any(error["field"].split(".")[0] == field.split(".")[0] for error in problem["errors"])


@cases(
    "redirect",
    [
        "http://service.example/cb",
        "https://service.example/cb#fragment",
        "https://user:password@service.example/cb",
        "https://*.service.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//service.example/cb",
        "https://",
        "https://service.example/\r\nSet-Cookie: a=b",
        "https://service.example\\@evil.example/",
        "",
        7,
        None,
    ],
)
def test_a_bad_redirect_uri_is_refused_at_registration(gate: Gate, developer: Developer, redirect: Any) -> None:
    body = {"name": "x", "redirectUris": [redirect], "allowedScopes": ["email:read"]}
    assert_problem(gate.post("/agents", body, **developer.headers), 400)


@cases("redirect", [f"{CALLBACK}/", f"{CALLBACK}?a=b", CALLBACK.upper(), "https://evil.example"])
def test_a_redirect_uri_is_compared_byte_for_byte(gate: Gate, agent: Agent, redirect: str) -> None:
    body = {"clientId": agent.client_id, "requestedScopes": ["email:read"], "redirectUri": redirect}
    assert assert_problem(gate.post("/consent/initiate", body), 400)["code"] == "invalid_redirect_uri"


@cases(
    "identifier",
    ["%00", "%ff", "..%2f..", "'%20OR%201=1", "cns_" + "a" * 5_000, "\uff43ns_1", "%F0%9F%92%A9"],
)
def test_a_hostile_id_in_a_path_is_not_found(gate: Gate, person: Person, identifier: str) -> None:
    for path in (f"/consent/{identifier}", f"/users/{identifier}/consents", f"/scopes/{identifier}"):
        assert_problem(gate.get(path, **person.headers), 404)


@cases("query", ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=%00", "cursor=x", "cursor=" + "A" * 4000])
def test_an_invalid_limit_or_cursor_is_a_400(gate: Gate, person: Person, query: str) -> None:
    assert_problem(gate.get(f"/users/me/consents?{query}", **person.headers), 400)


@cases(
    ("header", "value"),
    [
        ("Authorization", "Bearer"),
        ("Authorization", "Bearer a b"),
        ("Authorization", "Basic ///"),
        ("Authorization", "Digest x"),
        ("Authorization", "Bearer st_\xff"),
        ("X-Api-Key", "ag_"),
        ("X-Api-Key", "\xe9"),
        ("X-Api-Key", "ag_" + "x" * 8_000),
    ],
)
def test_a_hostile_credential_is_a_401(gate: Gate, header: str, value: str) -> None:
    encoded = {header: value.encode("latin-1")}
    for path in ("/agents", "/users/me/consents"):
        assert_problem(gate.http.get(path, headers=encoded), 401)


@cases("key", ["", "x" * 10_000, "é", "a\tb"])
def test_a_hostile_idempotency_key_is_not_a_server_error(gate: Gate, developer: Developer, key: str) -> None:
    body = {"name": "x", "redirectUris": [CALLBACK], "allowedScopes": ["email:read"]}
    headers = {**developer.headers, "Idempotency-Key": key.encode("latin-1")}
    answer = gate.http.post("/agents", json=body, headers=headers)
    assert answer.status_code in (201, 400)


def test_an_unknown_path_and_a_wrong_method_get_problem_responses(gate: Gate) -> None:
    assert_problem(gate.get("/nothing/here"), 404)
    answer = gate.call("PUT", "/tokens/verify", {})
    assert_problem(answer, 405)
    assert "POST" in answer.headers["allow"]
