"""Malformed requests get problem details."""

import json
from typing import Any

import pytest
from django.db import OperationalError

from api.parsers import MAX_BODY_BYTES, MAX_VALUES, parse_object
from api.v1.schemas import base
from core.errors import DomainError
from tests.api.conftest import Api, expect, problem
from tests.shared import cases

VERIFY = "/api/v1/tokens/verify"


def send(api: Api, content: bytes, content_type: str = "application/json", **headers: str) -> Any:
    return api.client.generic("POST", VERIFY, content, content_type=content_type, headers=headers)


@cases(
    "content",
    [
        b" ",
        b"{",
        b"{} {}",
        b"[]",
        b'"x"',
        b"null",
        b"7",
        b'{"token": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"token": "x"}'.encode("utf-16"),
        b'{"token": NaN}',
        b'{"token": Infinity}',
        b'{"token": 1e400, "action": }',
        b'{"token": "a", "token": "b"}',
        b'{"token": "a", "\\u0074oken": "b"}',
        b'{"context": {"a": 1, "a": 1}}',
        b'{"token":NaN}',
        b'{"token":"a","token":"b"}',
        b'{"token":"a","token":"a"}',
        b'{"context":{"a":1,"a":1}}',
        b'{"token":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"context":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a": "' + b"[" * 100 + b"\n",
    ],
)
def test_anything_but_one_strict_json_object_is_malformed(anonymous: Api, content: bytes) -> None:
    problem(send(anonymous, content), 400, "malformed_request")


@cases("spaced", ["", " "], ids=["compact", "spaced"])
@cases(
    "number",
    [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740992.0",
        "9007199254740993.0",
        "1e16",
        "1E+16",
        "-1e16",
        "10000000000000000.0",
        "0.1e18",
        "1e22",
        "1.7976931348623157e308",
        "1e999",
        "-1E+400",
        "9" * 30,
        "9" * 10_000,
        "9" * 10_000 + ".5e1",
        "0.1000000000000000055511151231257827",
        "4.9e-325",
        "1e-99999999999999999999",
        "0e99999999999999999999",
    ],
    ids=lambda text: text[:30],
)
def test_a_number_that_parsers_read_differently_is_refused_by_its_field(
    anonymous: Api, number: str, spaced: str
) -> None:
    content = f'{{"token":{spaced}"x","requiredScopes":["a:b"],"context":{{"x":[0,{{"y":{number}}}]}}}}'
    error = problem(send(anonymous, content.encode()), 400, "malformed_request", "context.x.1.y")
    assert "string" in error["errors"][0]["message"]


def test_the_first_numbers_that_are_refused_are_named(anonymous: Api) -> None:
    content = f'{{"context": {{"x": [{", ".join(["1e16"] * 30)}]}}}}'
    fields = [f"context.x.{number}" for number in range(20)]
    problem(send(anonymous, content.encode()), 400, "malformed_request", *fields)


@cases(
    "text",
    [
        "{}",
        '{"a":1,"b":[true,false,null,-7,9007199254740991,-9007199254740991]}',
        '{"a":1.5,"b":-0.0,"c":9007199254740991.0,"d":5e-324,"e":1e15,"f":100000.0}',
        '{"a":1E5,"b":-0,"c":1.50,"d":1e2,"e":0.10000000000000000}',
        '{"a":"\\u0000\\n\\u001f\\"\\\\/","\u00e9\U0001f600\u2028":"\u00e9"}',
        '{"a":"\\u00e9\\ud83d\\ude00\\/"}',
        '{"b":{"a":{"b":[[],{}]}},"a":""}',
        json.dumps({"a": {"b": [1, 2.5, "x"]}}, indent=2),
        '{"a":' * 31 + "{}" + "}" * 31,
    ],
)
def test_values_are_those_of_pythons_parser(text: str) -> None:
    assert repr(parse_object(text.encode())) == repr(json.loads(text))


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    body = {"token": '[{"' * 1000, "other": '\\"[' * 1000}
    assert parse_object(json.dumps(body).encode()) == body


@cases(
    ("content", "field"),
    [
        (b'{"token": "\\ud800", "requiredScopes": ["email:read"]}', "token"),
        (b'{"token": "x", "requiredScopes": ["email:read", "\\udfff"]}', "requiredScopes.1"),
        (b'{"token": "x", "requiredScopes": ["email:read"], "context": {"a": {"b": "\\ud800x"}}}', "context.a.b"),
        (b'{"\\ud800": 1}', "\\ud800"),
    ],
)
def test_a_lone_surrogate_is_reported(anonymous: Api, content: bytes, field: str) -> None:
    problem(send(anonymous, content), 400, "validation_failed", field)


def test_commas_in_texts_do_not_count_as_values() -> None:
    text = ',"' * 30_000
    assert parse_object(json.dumps({"token": text}).encode())["token"] == text


@cases("value", ["1", "1e5", "{}", '"\\","'])
def test_more_values_than_a_body_needs_are_refused_before_they_are_read(anonymous: Api, value: str) -> None:
    text = f'{{"context": {{"a": [{",".join([value] * (MAX_VALUES + 2))}]}}}}'
    assert "20000 values" in problem(send(anonymous, text.encode()), 400, "malformed_request")["detail"]


@cases("value", ['"\\ud800"', "1"])
def test_the_first_of_many_errors_are_reported(anonymous: Api, value: str) -> None:
    text = f'{{"token": "x", "requiredScopes": [{", ".join([value] * 30)}]}}'
    fields = [f"requiredScopes.{number}" for number in range(20)]
    problem(send(anonymous, text.encode()), 400, "validation_failed", *fields)


def test_what_a_caller_may_have_meant_is_looked_up_for_reported_errors_only(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(base, "nearest", lambda name, _known: asked.append(name))
    requests = [{f"tokem{number:02}": "x" for number in range(20)}] * 100
    fields = [f"requests.0.tokem{number:02}" for number in range(20)]
    problem(anonymous.post("/tokens/verify/batch", {"requests": requests}), 400, "validation_failed", *fields)
    assert len(asked) == 20


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_more_than_two_mebibytes_are_refused(anonymous: Api) -> None:
    problem(send(anonymous, b"x" * (MAX_BODY_BYTES + 1)), 413, "payload_too_large")


@cases("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "a", "text/json"])
def test_other_content_types_are_refused(anonymous: Api, content_type: str) -> None:
    problem(send(anonymous, b"{}", content_type), 415, "unsupported_media_type")


@cases("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_a_charset_and_upper_case_in_the_content_type_are_accepted(anonymous: Api, content_type: str) -> None:
    expect(200, send(anonymous, b'{"token": "x", "requiredScopes": ["email:read"]}', content_type))


@cases("accept", ["text/html", "application/xml", "*/*", "x"])
def test_the_response_is_json_regardless_of_accept(anonymous: Api, accept: str) -> None:
    problem(send(anonymous, b"", Accept=accept), 400, "validation_failed", "token", "requiredScopes")


@cases("path", ["", "/", "/nothing", "/agents/", "/tokens/verify/", "/agents/a/b/c"])
def test_an_unknown_path_returns_problem_details(anonymous: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        problem(anonymous.call(method, path), 404, "not_found")


@cases(
    ("method", "path", "allowed"),
    [
        ("GET", "/tokens/verify", {"POST", "OPTIONS"}),
        ("DELETE", "/agents", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("PUT", "/policies/pol_1", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
        ("TRACE", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_returns_problem_details_and_allow(
    anonymous: Api, method: str, path: str, allowed: set[str]
) -> None:
    answer = anonymous.call(method, path)
    problem(answer, 405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == allowed


@cases("identifier", ["%00", "%ff", "..%2f..", "'%20OR%201=1", "a" * 5000, "%F0%9F%92%A9"])
def test_a_hostile_id_is_not_found(ada: Api, developer: Api, identifier: str) -> None:
    for api, path in ((ada, f"/consent/{identifier}"), (developer, f"/agents/{identifier}")):
        problem(api.get(path), 404, "not_found")


def test_the_cause_of_an_internal_error_is_not_revealed(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*requests: Any) -> Any:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("decisions.inquiries.make_question", fail)
    answer = anonymous.post("/tokens/verify", {"token": "x", "requiredScopes": ["email:read"]})
    problem(answer, 500, "internal_error")
    assert "secret" not in answer.content.decode()


def test_a_lost_database_is_a_503(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*requests: Any) -> Any:
        raise OperationalError("connection refused")

    monkeypatch.setattr("decisions.inquiries.make_question", fail)
    answer = anonymous.post("/tokens/verify", {"token": "x", "requiredScopes": ["email:read"]})
    problem(answer, 503, "unavailable")
    assert answer["Retry-After"] == "1"


def test_the_type_of_a_problem_links_to_its_explanation(anonymous: Api) -> None:
    body = problem(anonymous.get("/nothing"), 404, "not_found")
    page = anonymous.client.get("/api/docs/errors").content.decode()
    assert body["type"].endswith("/api/docs/errors#not_found")
    assert 'id="not_found"' in page
    assert 'id="invalid_grant"' in page


def test_the_parser_raises_a_domain_error_for_unterminated_nesting() -> None:
    with pytest.raises(DomainError):
        parse_object(b'{"a":' * 10_000)
