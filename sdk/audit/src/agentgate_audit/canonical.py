"""Canonical JSON, as in RFC 8785."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from .errors import Unusable
from .strict_json import Fraction

# Larger integers are rounded to a double, as ECMAScript reads them.
_MAX_INTEGER = 2**53 - 1


def canonicalize(value: Any) -> str:
    """Return the canonical JSON of parsed JSON. Raises `Unusable` if it has none."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(name)}:{canonicalize(item)}" for name, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonicalize, value)) + "]"
    if isinstance(value, Fraction):
        return _number(float(value.text))
    if isinstance(value, str):
        return _text(value)
    if type(value) is int and abs(value) > _MAX_INTEGER:
        return _number(_as_double(value))
    return json.dumps(value)


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable("a string is not Unicode") from None
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Return a number as ECMAScript spells it (ECMA-262, Number::toString). Python has the same digits."""
    if value in (float("inf"), float("-inf")):
        raise Unusable("a number is too large for canonical JSON")
    if value == 0:
        return "0"
    _, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    shown, point = "".join(map(str, digits)), len(digits) + int(exponent)
    minus = "-" if value < 0 else ""
    if 0 < point <= 21:
        whole = shown[:point].ljust(point, "0")
        return minus + (f"{whole}.{shown[point:]}" if len(shown) > point else whole)
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{shown}"
    mantissa = f"{shown[0]}.{shown[1:]}" if len(shown) > 1 else shown
    return f"{minus}{mantissa}e{point - 1:+d}"
