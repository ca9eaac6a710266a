"""Read JSON strictly: no repeated names, no NaN, and numbers keep their spelling."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import Broken, quote

# The server accepts requests of at most 2 MiB, and JSON in JSON doubles its quotes. A longer line is an attack.
MAX_LINE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Fraction:
    """A number that is not written as an integer, as it was spelled: a float would lose digits."""

    text: str


def parse_json(data: bytes | str) -> Any:
    """Return the parsed JSON. Raises `Broken`."""
    try:
        return _decoder.decode(data if isinstance(data, str) else data.decode("utf-8"))
    except UnicodeDecodeError:
        raise Broken("is not UTF-8") from None
    except RecursionError:
        raise Broken("is JSON nested too deeply") from None
    except ValueError as error:
        raise Broken(f"is not JSON: {quote(str(error))[1:-1]}") from None


def read_object(value: Any, what: str, names: set[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return `value` if it is an object with exactly these members. Raises `Broken`."""
    if not isinstance(value, dict):
        raise Broken(f"{what} is not an object")
    if missing := names - value.keys():
        raise Broken(f"{what} has no {quote(min(missing))}")
    if unknown := value.keys() - names - optional:
        raise Broken(f"{what} has the unknown member {quote(min(unknown))}")
    return value


def read_integer(value: Any, what: str) -> int:
    """Return `value` if it is a non-negative integer, and not a Boolean. Raises `Broken`."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise Broken(f"{what} is not a number of the log: {quote(value)}")
    return value


def read_text(value: Any, what: str) -> str:
    """Return `value` if it is a string. Raises `Broken`."""
    if not isinstance(value, str):
        raise Broken(f"{what} is not a string")
    return value


def encode(text: str, what: str) -> bytes:
    """Return the UTF-8 of a parsed string. Raises `Broken` for half of a surrogate pair, which has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Broken(f"{what} is not Unicode") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated in an object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Fraction, parse_constant=_refuse)
