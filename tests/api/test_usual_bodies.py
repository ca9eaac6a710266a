"""The usual body of verify is read by hand, exactly as the strict parser and the model read it."""

import json
import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.inquiries import verify_inquiry
from api.parsers import MAX_VALUES, parse_object
from api.v1.direct import MAX_COMMAS
from api.v1.schemas.tokens import MAX_CONTEXT_BYTES, VerifyRequestBody
from api.v1.usual import MAX_USUAL, read_usual
from core.canonical import canonical_json
from core.errors import DomainError
from core.validation import parse
from decisions.contexts import MAX_LOGGED_BYTES
from decisions.requests import VerifyRequest
from tests.api.odd_bodies import ADDRESSES, ANY, SCOPES, Body
from tests.shared import cases
from tests.world import ANONYMOUS

GOOD = {
    "token": "a.b.c",
    "requiredScopes": ["email:read", "email:send"],
    "action": "email:read",
    "resource": "https://mail.example/messages/1",
    "context": {
        "verb": "read",
        "ip": "203.0.113.7",
        "text": "Grüße",
        "amount": {"value": "12.50", "currency": "EUR"},
        "to": ["a", "b"],
    },
}


def read_by_model(body: bytes) -> VerifyRequest | None:
    """Return the request that the strict parser and the model read, or None if they refuse the body."""
    try:
        sent = parse_object(body)
        (request,) = verify_inquiry(parse(VerifyRequestBody, sent), sent, ANONYMOUS, {}).requests
    except DomainError:
        return None
    return request


def check(body: bytes) -> VerifyRequest | None:
    """Return what is read by hand, after checking that it is what the model reads."""
    usual = read_usual(body, ANONYMOUS, None)
    if usual is None:
        return None
    expected = read_by_model(body)
    assert expected is not None, body
    assert usual._replace(encoded_context=b"") == expected, body
    assert _exactly(usual.context) == _exactly(expected.context), body
    assert usual.encoded_context == (canonical_json(expected.context) if expected.context else b""), body
    assert type(usual.required_scopes) is list
    return usual


def _exactly(context: Any) -> bytes:
    """Return a text that differs for 1, 1.0 and true, unlike `==`."""
    return orjson.dumps(context, option=orjson.OPT_SORT_KEYS)


@given(st.randoms(use_true_random=False))
def test_what_is_read_by_hand_is_what_the_model_reads(source: random.Random) -> None:
    check(Body(source).write())


def check_many(number: int, source: random.Random) -> None:
    """Check random bodies. At least an eighth is read by hand, and a fifth is invalid."""
    bodies = [Body(source).write() for _ in range(number)]
    assert sum(check(body) is not None for body in bodies) > number / 8
    assert sum(read_by_model(body) is None for body in bodies) > number / 5


def test_many_bodies_are_read_as_the_model_reads_them() -> None:
    check_many(8_000, random.Random(1))


@pytest.mark.soak
def test_a_hundred_thousand_bodies_are_read_as_the_model_reads_them() -> None:
    check_many(100_000, random.Random())


@cases("left_out", [(), ("action",), ("resource",), ("context",), ("action", "resource", "context")])
def test_usual_bodies_are_read_by_hand(left_out: Sequence[str]) -> None:
    body = {name: value for name, value in GOOD.items() if name not in left_out}
    assert check(orjson.dumps(body)) is not None


@cases("written", [json.dumps(GOOD), json.dumps(GOOD, indent=2), json.dumps(GOOD).replace("/", "\\/")])
def test_they_may_have_spaces_and_escapes(written: str) -> None:
    assert check(written.encode()) is not None


@cases("context", [{}, {"text": "Grüße, 日本 😀"}, {"b": 1, "a": -5}, {"a": None, "b": True}, {"ip": "2001:db8::1"}])
def test_usual_contexts_are_read_by_hand(context: Any) -> None:
    assert check(orjson.dumps(GOOD | {"context": context})) is not None


@cases("value", ANY)
@cases("name", list(GOOD))
def test_each_field_with_each_value(name: str, value: str) -> None:
    _check_with(name, value)


@cases("value", [*ADDRESSES, *ANY])
@cases("name", ["ip", "amount", "other", "é", "a\\u0000", ""])
def test_each_member_of_the_context_with_each_value(name: str, value: str) -> None:
    _check_with("context", f'{{"{name}":{value}}}')


@cases("value", SCOPES)
def test_each_scope(value: str) -> None:
    _check_with("requiredScopes", f'["email:read",{value}]')


def _check_with(name: str, value: str) -> None:
    written = {each: orjson.dumps(of).decode() for each, of in GOOD.items()} | {name: value}
    members = ",".join(f'"{each}":{of}' for each, of in written.items())
    check(f"{{{members}}}".encode("utf-8", "surrogatepass"))


@cases(
    "body",
    [
        orjson.dumps(GOOD | {"receipt": False}),
        orjson.dumps(GOOD | {"action": None}),
        orjson.dumps(GOOD | {"context": {"text": "\0"}}),
        orjson.dumps(GOOD | {"context": {"score": 1.5}}),
        orjson.dumps(GOOD | {"token": "a\0b"}),
        orjson.dumps(GOOD)[:-1] + b',"token":"a.b.c"}',
        orjson.dumps(GOOD | {"token": "x" * MAX_USUAL}),
    ],
)
def test_other_bodies_are_left_to_the_model(body: bytes) -> None:
    assert check(body) is None


def test_a_usual_body_keeps_the_bounds_that_are_not_checked() -> None:
    """It is so short that it exceeds none of them."""
    assert min(MAX_COMMAS, MAX_VALUES, MAX_CONTEXT_BYTES, MAX_LOGGED_BYTES) >= MAX_USUAL
