"""Requests in every shape: the event loop answers the usual ones as Django's view does, and leaves the others to it."""

from typing import Any

import orjson
import pytest

from api.v1.direct import MAX_BODY, MAX_CONTAINERS
from api.v1.schemas.tokens import MAX_BATCH, MAX_CONTEXT_BYTES
from core.canonical import canonical_json
from limits.models import Reservation
from oauth.introspection import MAX_FORM
from tests.semantics.both import DJANGO, Both, Sent
from tests.semantics.requests import (
    BATCH,
    FORM,
    FORWARD,
    HEALTH,
    INTROSPECT,
    UNKNOWN,
    VERIFY,
    Scene,
    basic,
    batch,
    forward,
    get,
    introspect,
    post,
    question,
    verify,
)

GOOD = orjson.dumps(question(UNKNOWN))
USUAL_HEADERS = {
    "media type with a parameter": {"Content-Type": "application/json; charset=utf-8"},
    "media type in capitals": {"Content-Type": "Application/JSON"},
    "other accepted types": {"Accept": "text/html;q=0.9"},
    "other language": {"Accept-Language": "de-CH,de;q=0.9", "Cookie": "django_language=de"},
    "malformed cookies": {"Cookie": "sessionid=a; csrftoken=b; messages=c"},
    "cookies": {"Cookie": f"sessionid={'abcd' * 8}; csrftoken=def; other=1"},
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "conditions": {"If-None-Match": "*", "If-Modified-Since": "Mon, 23 Mar 2026 12:00:00 GMT", "Range": "bytes=0-1"},
    "other credentials": {"X-Api-Key": "ag_x", "Idempotency-Key": "key-12345678", "X-Resource-Server": "Basic !"},
    "compression": {"Accept-Encoding": "gzip, br"},
    "override": {"X-Http-Method-Override": "DELETE"},
}


@pytest.mark.parametrize("name", USUAL_HEADERS)
def test_headers_that_change_nothing(scene: Scene, both: Both, name: str) -> None:
    headers = USUAL_HEADERS[name]
    for sent in (verify(scene.token), batch(question(scene.token)), get(HEALTH)):
        assert both.ask(sent.having(**headers)).status == 200
    forwarded = forward(scene.token).having(**{**headers, "X-Resource-Server": basic(scene.own)})
    assert both.ask(forwarded).status == 200
    if "Content-Type" not in headers:
        assert both.ask(introspect(scene.token, basic(scene.own)).having(**headers)).json["active"] is True


@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "too long"])
def test_an_invalid_key_is_refused(scene: Scene, both: Both, key: str) -> None:
    for sent in (verify(scene.token), batch(question(scene.token))):
        answer = both.ask(sent.having(**{"Idempotency-Key": key}), by=DJANGO)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "Idempotency-Key")


def test_a_repeated_request_that_reserves(scene: Scene, both: Both) -> None:
    """Both find what the first has reserved, and what was resolved meanwhile."""
    asked = {"reserve": True, "context": {"amount": {"value": "1", "currency": "EUR"}}}
    one = verify(scene.token, **asked).having(**{"Idempotency-Key": "one"})
    several = batch(question(scene.token, **asked), question(scene.token)).having(**{"Idempotency-Key": "one"})
    assert both.ask(one).json["allowed"]
    assert len({each for ids in both.log_ids for each in ids}) == 1
    assert [each["allowed"] for each in both.ask(several).json["decisions"]] == [True, True]
    assert Reservation.objects.count() == 2
    changed = verify(scene.token, **{**asked, "expiresInSeconds": 60}).having(**{"Idempotency-Key": "one"})
    assert (both.ask(changed).status, both.ask(changed).json["code"]) == (409, "idempotency_key_reused")
    Reservation.objects.update(status="voided")
    for sent in (one, several):
        assert (both.ask(sent).status, both.ask(sent).json["code"]) == (409, "reservation_resolved")


def test_bodies_that_are_usual(both: Both, subtests: Any) -> None:
    largest = {"text": ""}
    largest["text"] = "x" * (MAX_CONTEXT_BYTES - len(canonical_json(largest)))
    bodies = {
        "spaces": b" \n" + GOOD + b"\r\n",
        "escaped letters": GOOD.replace(b"not-a-token", rb"\u006eot\ud83d\ude00"),
        "UTF-8": orjson.dumps(question(UNKNOWN, action="na\u00efve \U0001f600")),
        "null resource": GOOD.replace(b"}", b', "context": {"deep": [[[1.5, -0.0, null, true]]]}}'),
        "largest context": orjson.dumps(question(UNKNOWN, context=largest)),
        "100 scopes": orjson.dumps(question(UNKNOWN, *(f"many:b{number}" for number in range(100)))),
    }
    for name, body in bodies.items():
        with subtests.test(name):
            assert both.ask(post(f"{VERIFY}?a=%20&a=b&scopes=x", body)).status == 200


def malformed() -> dict[str, tuple[int, bytes]]:
    """Return the status and the body of requests that are no questions."""
    deep = b'{"token":' + b"[" * 40 + b"]" * 40 + b"}"
    big = orjson.dumps(question(UNKNOWN, context={"text": "x" * MAX_CONTEXT_BYTES}))
    texts = {
        "no JSON": b"{",
        "a list": b"[]",
        "a number": b"1",
        "not UTF-8": b'{"token": "\xff"}',
        "a byte order mark": b"\xef\xbb\xbf" + GOOD,
        "UTF-16": GOOD.decode().encode("utf-16"),
        "a comment": b"{} // no",
        "NaN": b'{"token": NaN}',
        "a big number": b'{"token": 9007199254740993}',
        "an infinite number": b'{"token": 1e999}',
        "deep": deep,
        "repeated names": b'{"token": "a", "token": "b", "requiredScopes": ["email:read"]}',
        "repeated names in the context": GOOD.replace(b"}", b', "context": {"ip": "192.0.2.1", "ip": "192.0.2.2"}}'),
        "a lone surrogate": GOOD.replace(b"not-a-token", rb"\ud800"),
        "a lone surrogate in a name": GOOD.replace(b"}", rb', "context": {"\udc00": 1}}'),
        "nothing": b"{}",
        "an unknown field": GOOD.replace(b"}", b', "tokens": []}'),
        "an invisible unknown field": GOOD.replace(b"}", rb', "\u202eno": []}'),
        "no token": b'{"requiredScopes": ["email:read"]}',
        "no scopes": orjson.dumps({"token": "x", "requiredScopes": []}),
        "101 scopes": orjson.dumps(question(UNKNOWN, *(f"many:b{number}" for number in range(101)))),
        "an impossible scope": orjson.dumps(question(UNKNOWN, "no scope")),
        "a scope that is no string": orjson.dumps({"token": "x", "requiredScopes": [1]}),
        "a token that is no string": orjson.dumps({"token": 1, "requiredScopes": ["email:read"]}),
        "a long action": orjson.dumps(question(UNKNOWN, action="x" * 201)),
        "two lines": orjson.dumps(question(UNKNOWN, action="a\nb")),
        "a long context": big,
        "a NUL": orjson.dumps(question(UNKNOWN, context={"a": "\0"})),
        "an address with a zone": orjson.dumps(question(UNKNOWN, context={"ip": "fe80::1%eth0"})),
        "a context that is a list": orjson.dumps(question(UNKNOWN, context=[])),
    }
    return {name: (400, body) for name, body in texts.items()}


def test_malformed_bodies(both: Both, subtests: Any) -> None:
    for name, (status, body) in malformed().items():
        with subtests.test(name):
            assert both.ask(post(VERIFY, body), by=DJANGO).status == status
            assert both.ask(post(BATCH, b'{"requests": [' + body + b"]}"), by=DJANGO).status == status


@pytest.mark.parametrize("path", [VERIFY, BATCH])
def test_bodies_of_other_types(both: Both, path: str, subtests: Any) -> None:
    statuses = {"text/plain": 415, FORM: 415, "multipart/form-data; boundary=x": 415, "application/xml": 415, "": 415}
    for media_type, status in statuses.items():
        with subtests.test(media_type):
            assert both.ask(post(path, GOOD, media_type), by=DJANGO).status == status
            assert both.ask(post(path, b"", media_type), by=DJANGO).status == 400
    assert both.ask(post(path, b""), by=DJANGO).status == 400


@pytest.mark.parametrize("path", [VERIFY, BATCH, INTROSPECT, HEALTH])
def test_other_methods(both: Both, path: str, subtests: Any) -> None:
    known = ("GET", "HEAD") if path == HEALTH else ("POST",)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        with subtests.test(method):
            if method not in known:
                answer = both.ask(get(path, method), by=DJANGO)
                assert answer.status == (204 if method == "OPTIONS" else 405), answer


def test_methods_that_forward_auth_refuses(both: Both, subtests: Any) -> None:
    for method in ("TRACE", "PROPFIND"):
        for path in (f"{FORWARD}?scopes=email:read", f"{FORWARD}/below"):
            with subtests.test(f"{method} {path}"):
                assert both.ask(get(path, method), by=DJANGO).status == 405


@pytest.mark.parametrize("path", [VERIFY, BATCH])
def test_long_bodies_are_parsed_in_a_thread(both: Both, path: str) -> None:
    """Parsing the longest body would block the event loop."""
    long = orjson.dumps({"token": "x" * MAX_BODY, "requiredScopes": ["email:read"]})
    body = long if path == VERIFY else b'{"requests": [' + long + b"]}"
    assert both.ask(post(path, body), by=DJANGO).status == 200


@pytest.mark.parametrize("path", [VERIFY, BATCH])
def test_bodies_of_very_many_containers_are_parsed_in_a_thread(both: Both, path: str) -> None:
    """Short as they are, they take as long as the longest."""
    many = orjson.dumps(question(UNKNOWN, context={"a": [{}] * MAX_CONTAINERS}))
    body = many if path == VERIFY else b'{"requests": [' + many + b"]}"
    assert len(body) < MAX_BODY
    both.ask(post(path, body), by=DJANGO)


def test_long_forms_are_parsed_in_a_thread(scene: Scene, both: Both) -> None:
    """Django refuses them, because no parameter may be that long. The event loop would need 90 ms to find out."""
    form = f"token={scene.token}&a={'x' * MAX_FORM}".encode()
    assert both.ask(post(INTROSPECT, form, FORM, Authorization=basic(scene.own)), by=DJANGO).status == 400


def test_other_spellings_of_the_paths(both: Both) -> None:
    """Django decodes a path before it finds the view, so these are either the same path or no path."""
    assert both.ask(post("/api/v1/tokens/verif%79", GOOD), by=DJANGO).status == 200
    assert both.ask(get("/api/v1/h%65alth"), by=DJANGO).status == 200
    for path in (f"{VERIFY}/", f"/{VERIFY}", VERIFY.upper(), f"{VERIFY};a=b", f"{INTROSPECT}/"):
        assert both.ask(post(path, GOOD), by=DJANGO).status == 404, path


class TestBatches:
    @pytest.mark.parametrize("size", [1, 2, MAX_BATCH])
    def test_usual_sizes(self, scene: Scene, both: Both, size: int) -> None:
        answer = both.ask(batch(*[question(scene.token)] * size, caller=basic(scene.own)))
        assert [decision["allowed"] for decision in answer.json["decisions"]] == [True] * size

    @pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
    def test_impossible_sizes(self, both: Both, size: int) -> None:
        assert both.ask(batch(*[question(UNKNOWN)] * size), by=DJANGO).status == 400

    def test_a_malformed_question_is_named_by_its_index(self, both: Both) -> None:
        answer = both.ask(batch(question(UNKNOWN), question(UNKNOWN), question("", "no scope")), by=DJANGO)
        assert [error["field"] for error in answer.json["errors"]] == [
            "requests.2.token",
            "requests.2.requiredScopes.0",
        ]


class TestForwardAuth:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_every_method_is_decided(self, scene: Scene, both: Both, method: str) -> None:
        for path in ("?scopes=email:read", "/inbox/7?scopes=other&a=b"):
            sent = forward(scene.token, path, method=method).having(X_Required_Scopes="email:read")
            assert both.ask(sent).status == 200
            assert both.ask(sent.having(Authorization="Bearer no")).status == 401

    def test_what_is_answered_directly(self, scene: Scene, both: Both, subtests: Any) -> None:
        """The scopes come from the query or the header, and other parameters are the caller's."""
        sent = forward(scene.token, "").having(X_Required_Scopes="email:read,, email:read")
        metadata = "&resource_metadata=https://own.example/%22%C3%A9%0A"
        cases = {
            "the header alone": (200, sent),
            "an empty query": (200, forward(scene.token, "?scopes=email:read&action=&resource=&x=1&x=2")),
            "both": (403, sent.having(X_Required_Scopes="email:send")),
            "metadata": (401, forward("no", f"?scopes=email:read{metadata}")),
            "another scheme": (401, forward("no").having(Authorization=basic(scene.own))),
            "two words": (401, forward("no").having(Authorization="Bearer a b")),
            "no token": (401, Sent("GET", f"{FORWARD}?scopes=email:read", get("").headers)),
            "a body": (200, Sent("POST", f"{FORWARD}?scopes=email:read", forward(scene.token).headers, b'{"a": 1')),
        }
        for name, (status, case) in cases.items():
            with subtests.test(name):
                assert both.ask(case).status == status

    def test_what_is_left_to_django(self, scene: Scene, both: Both, subtests: Any) -> None:
        many = "+".join(f"many:b{number}" for number in range(101))
        cases = {
            "no scopes": (400, forward(scene.token, "")),
            "empty scopes": (400, forward(scene.token, "?scopes=%20")),
            "no scopes in the header": (400, forward(scene.token, "/inbox?scopes=email:read")),
            "many scopes": (400, forward(scene.token, f"?scopes={many}")),
            "an impossible scope": (400, forward(scene.token, "?scopes=no!")),
            "a repeated parameter": (400, forward(scene.token, "?scopes=email:read&scopes=email:read")),
            "a long action": (400, forward(scene.token, f"?scopes=email:read&action={'x' * 201}")),
            "an unreadable credential": (403, forward(scene.token, caller="Basic !")),
        }
        for name, (status, case) in cases.items():
            with subtests.test(name):
                assert both.ask(case, by=DJANGO).status == status


class TestIntrospection:
    def test_a_foreign_token_is_not_active(self, scene: Scene, both: Both) -> None:
        assert both.ask(introspect(scene.token, basic(scene.foreign))).json == {"active": False}

    def test_what_is_answered_directly(self, scene: Scene, both: Both) -> None:
        token = scene.token.encode()
        for form in (b"token=" + token + b"&token_type_hint=x&a=", b"&token=" + token, b"a=%C3%A9&token=" + token):
            answer = both.ask(post(f"{INTROSPECT}?a=b", form, FORM, Authorization=basic(scene.own)))
            assert answer.json["active"] is True

    def test_forms_with_errors(self, scene: Scene, both: Both, subtests: Any) -> None:
        forms = {
            "nothing": b"",
            "an empty token": b"token=",
            "a repeated token": b"token=a&token=b",
            "a repeated name": b"token=a&b=1&b=2",
            "a control character": b"token=%00",
            "a long token": b"token=" + b"x" * 17_000,
            "many fields": b"token=a&" + b"&".join(b"a%d=" % number for number in range(4000)),
        }
        for name, form in forms.items():
            with subtests.test(name):
                answer = both.ask(post(INTROSPECT, form, FORM, Authorization=basic(scene.own)), by=DJANGO)
                assert (answer.status, answer.json["error"]) == (400, "invalid_request")

    def test_other_requests_with_errors(self, scene: Scene, both: Both, subtests: Any) -> None:
        form, caller = b"token=x", {"Authorization": basic(scene.own)}
        cases = {
            "JSON": (400, post(INTROSPECT, b'{"token": "x"}', **caller)),
            "no type": (400, post(INTROSPECT, form, "", **caller)),
            "the token in the query": (400, post(f"{INTROSPECT}?token=x", form, FORM, **caller)),
            "no credential": (401, post(INTROSPECT, form, FORM)),
            "a bearer token": (401, post(INTROSPECT, form, FORM, Authorization="Bearer x")),
        }
        for name, (status, sent) in cases.items():
            with subtests.test(name):
                assert both.ask(sent, by=DJANGO).status == status
        with_parameter = post(INTROSPECT, form, f"{FORM}; charset=utf-8", **caller)
        assert both.ask(with_parameter, by=DJANGO).json == {"active": False}
