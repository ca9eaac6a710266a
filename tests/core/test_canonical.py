"""The fast encoding of common values is the canonical one."""

import json
from enum import StrEnum
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from core import canonical
from core.canonical import canonical_json
from tests.shared import cases

SAFE = 2**53 - 1
SCALARS = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(-SAFE, SAFE)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.text(st.characters(max_codepoint=127)) | TEXTS
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner)
)


class Word(StrEnum):
    YES = "yes"


@given(VALUES)
@example({"\U00010000": 1, "\ue000": 2})  # in another order by code point than by UTF-16 code unit
@example({"": "".join(map(chr, range(0x100))), "a": "\u2028\u2029\ufeff\U0001f600/\\"})
@example([0.1, 1e15, 1e-7, -0.0, 100.0, 5e-324])
@example([SAFE, -SAFE, True, False, None, 0])
@example({"reason": Word.YES, Word.YES: [Word.YES]})
def test_every_value_has_the_encoding_of_rfc_8785(value: Any) -> None:
    encoded = canonical_json(value)
    assert encoded == rfc8785.dumps(value)
    assert canonical_json(json.loads(encoded)) == encoded


@cases("number", [1e16, -1e16, 2.0**53, 1e21, 1e300], ids=repr)
def test_a_float_that_would_be_a_large_integer_is_refused(number: float) -> None:
    """What was encoded could not be parsed and encoded again."""
    with pytest.raises(ValueError, match="too large"):
        canonical_json({"x": [(number,)]})


@cases(
    "value",
    [SAFE + 1, -SAFE - 1, [float("nan")], "\ud800", {"\ud800": 1}, {1: "one"}, {"a": {None: 1}}, {"a": {1, 2}}, b"x"],
    ids=repr,
)
def test_a_value_that_json_cannot_represent_is_refused(value: Any) -> None:
    with pytest.raises(ValueError) as ours:  # noqa: PT011
        canonical_json(value)
    with pytest.raises(type(ours.value)):
        rfc8785.dumps(value)


def test_common_values_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical.rfc8785, "dumps", lambda value: pytest.fail("the slow way"))
    assert canonical_json({"b": ["é", {"c": None}], "a": 1}) == '{"a":1,"b":["é",{"c":null}]}'.encode()


def test_numbers_with_a_fraction_take_the_slow_way() -> None:
    assert canonical_json([1e-7, 1.0]) == b"[1e-7,1]"
    assert orjson.dumps([1e-7, 1.0]) != b"[1e-7,1]"
