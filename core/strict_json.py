"""JSON that every parser reads the same way (RFC 8259, RFC 7493). Each door through which JSON comes in uses this.

A value that two parsers read differently could be one approval and another act, or an entry that the log cannot take.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from core.errors import FieldError
from core.text import echo
from core.validation import MAX_ERRORS

# Parsers recurse, and a thread's stack is smaller than they assume.
MAX_DEPTH = 32
# Possessive quantifiers, so that hostile text takes linear time. An unterminated string runs to the end.
BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
# The largest integer that every JSON parser reads exactly, because a double holds it (RFC 7493 section 2.2). Every
# double beyond is whole, so a larger number is refused however it is spelled: 1e16 is 10000000000000000.
MAX_INTEGER = 2**53 - 1
# Of a fraction. The shortest spelling of a double has at most 24.
MAX_DIGITS = 400
TOO_LARGE = f"A number is at most {MAX_INTEGER}, or at least -{MAX_INTEGER}. Send a larger one as a string."


class NotStrict(ValueError):
    """The text is not such JSON. `errors` names the numbers that are refused, if those are the cause."""

    def __init__(self, message: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


def parse_strictly(text: str) -> Any:
    """Return the JSON value. Raises `NotStrict`."""
    if is_too_deep(text):
        raise NotStrict(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    try:
        return _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise NotStrict(f"The JSON is not valid: see line {error.lineno}, column {error.colno}.") from error
    except _NumberRefused as error:
        raise NotStrict(str(error), _find_refused(text)) from error


def has_large_number(value: Any) -> bool:
    """Return whether a parsed value has a float beyond `MAX_INTEGER`. It may be nested in at most 32 others."""
    kind = type(value)
    if kind is float:
        return bool(abs(value) > MAX_INTEGER)
    items = value.values() if kind is dict else value if kind in (list, tuple) else ()
    # A loop, because most values are texts and a call for each of them would take longer.
    for item in items:  # noqa: SIM110
        if type(item) is not str and has_large_number(item):
            return True
    return False


class _NumberRefused(ValueError):
    """A number of this spelling is refused."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotStrict(f"The name {echo(repeated)} appears more than once in an object.")
    return found


def _refuse_constant(name: str) -> Any:
    raise NotStrict(f"{name} is not valid JSON.")


def _read_float(digits: str) -> float:
    number = float(digits)
    if abs(number) > MAX_INTEGER:  # or infinite
        raise _NumberRefused(TOO_LARGE)
    # Otherwise two numbers that differ could be one approval.
    if len(digits) > MAX_DIGITS or not _is_exactly(digits, number):
        raise _NumberRefused(f"The number {echo(digits)} has too many digits. Send it as a string.")
    return number


def _is_exactly(digits: str, number: float) -> bool:
    try:
        return Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:  # an exponent beyond those of decimals
        return False


def _read_int(digits: str) -> int:
    # Check the length first, because converting many digits takes quadratic time.
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise _NumberRefused(TOO_LARGE)
    return int(digits)


def _find_refused(text: str) -> tuple[FieldError, ...]:
    """Return an error for each number that is refused, or none if what follows the first is not valid JSON."""
    try:
        value = _TOLERANT.decode(text)
    except json.JSONDecodeError:
        return ()
    return tuple(islice(_walk(value, ()), MAX_ERRORS))


def _walk(value: Any, path: tuple[object, ...]) -> Iterator[FieldError]:
    if isinstance(value, _NumberRefused):
        yield FieldError(".".join(map(echo, path)), str(value))
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if isinstance(item, (dict, list, _NumberRefused)):
            yield from _walk(item, (*path, name))


def _or_refused(read: Any) -> Any:
    def read_or_return(digits: str) -> Any:
        try:
            return read(digits)
        except _NumberRefused as error:
            return error

    return read_or_return


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
)
_TOLERANT = json.JSONDecoder(parse_float=_or_refused(_read_float), parse_int=_or_refused(_read_int))


def is_too_deep(text: str) -> bool:
    """Return whether a JSON text is nested deeper than `MAX_DEPTH` levels, without parsing it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in BRACKETS.finditer(text):
        token = match[0]
        depth += (token in "[{") - (token in "]}")
        if depth > MAX_DEPTH:
            return True
    return False


def is_jwt_too_deep(token: str) -> bool:
    """Return whether the header or the claims of a JWT are nested too deeply. One that cannot be read is not."""
    try:
        return any(is_too_deep(urlsafe_b64decode(f"{part}==").decode()) for part in token.split(".")[:2])
    except ValueError:
        return False
