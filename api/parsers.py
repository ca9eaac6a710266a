"""A JSON parser that refuses what other parsers could read differently (RFC 8259, RFC 7493)."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from django.utils.translation import gettext_noop
from rest_framework.parsers import BaseParser

from core.errors import DomainError, FieldError, Invalid
from core.strict_json import MAX_DEPTH, MAX_INTEGER, NotStrict, has_large_number, parse_strictly
from core.text import echo
from core.validation import MAX_ERRORS

MAX_BODY_BYTES = 2 * 1024 * 1024
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
    remedy = (
        f"Send one JSON object in UTF-8: no duplicate names, no number beyond {MAX_INTEGER} or with more digits than a "
        f"double, {MAX_DEPTH} levels at most. Send other numbers as strings."
    )


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
    return value if is_exact and isinstance(value, dict) and not has_large_number(value) else None


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
    value = _load(text)
    if not isinstance(value, dict):
        raise MalformedRequest("The body must be a JSON object.")
    if ESCAPED_SURROGATE.search(text):
        _check_text(value)
    return value


def _load(text: str) -> Any:
    try:
        return parse_strictly(text)
    except NotStrict as error:
        raise MalformedRequest(str(error), errors=error.errors) from error


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
