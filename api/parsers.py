"""A JSON parser that refuses what other parsers could read differently (RFC 8259, RFC 7493)."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import orjson
from django.utils.translation import gettext_noop
from rest_framework.parsers import BaseParser

from core.errors import DomainError, FieldError, Invalid
from core.nesting import MAX_DEPTH, is_too_deep
from core.text import echo
from core.validation import MAX_ERRORS

MAX_BODY_BYTES = 2 * 1024 * 1024
# The largest integer that every JSON parser reads exactly, because a double holds it (RFC 7493 section 2.2).
MAX_INTEGER = 2**53 - 1
# Of a fraction. The shortest spelling of a double has at most 24.
MAX_DIGITS = 400
# A body can have a million values, which take a second to check. A batch of 100 questions with 100 scopes has 10,300.
MAX_VALUES = 20_000
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
SURROGATE = re.compile(r"[\ud800-\udfff]")
# UTF-8 itself has no surrogates, so only such an escape can make one.
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class MalformedRequest(DomainError):
    """The body is not a JSON object that every parser reads the same way."""

    code = "malformed_request"
    title = gettext_noop("The request is malformed")
    remedy = "Send one JSON object in UTF-8: no duplicate names, no number beyond a double, 32 levels at most."


class PayloadTooLarge(DomainError):
    code = "payload_too_large"
    status = 413
    title = gettext_noop("The request body is too large")
    remedy = "Send at most 2 MiB of JSON to the API, 256 KiB to pages, and 32 KiB to the OAuth endpoints."


class StrictJSONParser(BaseParser):
    """Parse `application/json` into a dict. Raises `MalformedRequest`, `PayloadTooLarge` or `Invalid`."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body must be at most {MAX_BODY_BYTES} bytes.")
        return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`. Raises `MalformedRequest`, or `Invalid` with fields that are not Unicode."""
    if _has_many_values(body):
        raise MalformedRequest(f"The body has more than {MAX_VALUES} values.")
    value = _parse_compact(body)
    return _parse_carefully(body) if value is None else value


def _parse_compact(body: bytes) -> dict[str, Any] | None:
    """Return the object if `body` is exactly what orjson would write of it, or None.

    Then every parser reads it the same way: a repeated name, an inexact number or a lone surrogate would be written
    differently or not at all. Most clients send such bodies, and this takes a tenth of the time.
    """
    if count_containers(body) > MAX_DEPTH:
        return None
    try:
        value = orjson.loads(body)
        is_exact = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == body
    except (ValueError, TypeError):
        return None
    return value if is_exact and isinstance(value, dict) else None


def _has_many_values(body: bytes) -> bool:
    """Return whether a JSON text has more than `MAX_VALUES` values: about as many as commas outside strings."""
    return body.count(b",") > MAX_VALUES and STRING.sub(b"", body).count(b",") > MAX_VALUES


def count_containers(body: bytes) -> int:
    """Return the number of objects and arrays in a JSON text, or more if its strings contain brackets."""
    return body.count(b"{") + body.count(b"[")


def _parse_carefully(body: bytes) -> dict[str, Any]:
    """Return the object in `body`, or raise what `parse_object` documents."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest("The body is not valid UTF-8.") from error
    if is_too_deep(text):
        raise MalformedRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    value = _load(text)
    if not isinstance(value, dict):
        raise MalformedRequest("The body must be a JSON object.")
    if ESCAPED_SURROGATE.search(text):
        _check_text(value)
    return value


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise MalformedRequest(_explain(error)) from error


def _explain(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"The body is not valid JSON: see line {error.lineno}, column {error.colno}."
    return str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"The name {echo(repeated)} appears more than once in an object.")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("A number is too large.")
    # Otherwise two numbers that differ could be one approval (RFC 7493 section 2.2).
    if len(digits) > MAX_DIGITS or not _is_exactly(digits, number):
        raise ValueError(f"The number {echo(digits)} has too many digits. Send it as a string.")
    return number


def _is_exactly(digits: str, number: float) -> bool:
    try:
        return Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:  # an exponent beyond those of decimals
        return False


def _exact(digits: str) -> int:
    # Check the length first, because converting many digits takes quadratic time.
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"A whole number exceeds {MAX_INTEGER}. Send it as a string.")
    return int(digits)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_exact
)


def _check_text(value: dict[str, Any]) -> None:
    found = islice(_surrogates(value, ()), MAX_ERRORS)
    errors = tuple(FieldError(".".join(map(echo, path)), "Must be valid Unicode text.") for path in found)
    if errors:
        raise Invalid("A string is not valid Unicode.", errors=errors)


def _surrogates(value: Any, path: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """Yield the path to each text or name that has a surrogate. Objects and lists are nested in at most 32 others."""
    if isinstance(value, str):
        if SURROGATE.search(value):
            yield path
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if isinstance(name, str) and SURROGATE.search(name):
            yield (*path, name)
        if isinstance(item, (str, dict, list)):
            yield from _surrogates(item, (*path, name))
