"""Depth is bounded by a number, whatever the stack of a thread allows."""

import json
from base64 import urlsafe_b64encode
from typing import Any

from core.strict_json import MAX_DEPTH, is_jwt_too_deep, is_too_deep
from tests.shared import cases


def nested(levels: int) -> Any:
    value: Any = 1
    for number in range(levels):
        value = {"a": value} if number % 2 else [0, value]
    return value


@cases(("levels", "is_deep"), [(0, False), (1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (500, True)])
def test_a_text_and_a_jwt_have_the_same_bound(levels: int, is_deep: bool) -> None:
    value = nested(levels)
    text = json.dumps(value)
    part = urlsafe_b64encode(text.encode()).decode().rstrip("=")
    assert is_too_deep(text) == is_deep
    assert is_jwt_too_deep(f"e30.{part}.x") == is_jwt_too_deep(f"{part}.e30.x") == is_deep


def test_no_stack_is_needed() -> None:
    deep = urlsafe_b64encode(b"[" * 100_000).decode()
    assert is_jwt_too_deep(f"{deep}.e30.x")


@cases("token", ["", "x", "é.é.é", "_w.e30.x"])
def test_a_jwt_that_cannot_be_read_is_not_too_deep(token: str) -> None:
    assert not is_jwt_too_deep(token)
