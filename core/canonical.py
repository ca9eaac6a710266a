"""Canonical JSON (RFC 8785): each value has one encoding, so that its digest can be recomputed."""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson
import rfc8785

from core.strict_json import has_large_number

FAST = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
# A fragment is encoded already.
SCALARS = frozenset({str, int, bool, type(None), orjson.Fragment})
ARRAYS = frozenset({list, tuple})


def canonical_json(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme encoding. Raises `ValueError` if JSON cannot represent `value`.

    So it does for a float beyond the integers that a double holds: it would be written as an integer, which is then
    refused when what was encoded is parsed and encoded again.
    """
    if type(value) is str or _is_common(value):
        return encode_common(value)
    if has_large_number(value):
        raise ValueError("A whole number is too large.")
    return rfc8785.dumps(value)


def encode_common(value: Any) -> bytes:
    """Return the canonical encoding of a value without floats whose keys are ASCII. Raises `ValueError` as above.

    Danger: only for values whose shape is fixed in the code or was checked (`api/v1/usual.py`), because it does not
    check them. `orjson.Fragment` can hold a part that is encoded already.
    """
    try:
        return orjson.dumps(value, option=FAST)
    except orjson.JSONEncodeError:
        return rfc8785.dumps(value)  # raises the right error


def has_nul(encoded: bytes) -> bool:
    """Return whether a text or a name in JSON from `canonical_json` contains a NUL, which PostgreSQL cannot store."""
    # Without escaped backslashes, because text may contain these six characters itself, as a quotation of JSON does.
    return b"\\u0000" in encoded.replace(rb"\\", b"")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _is_common(value: Any) -> bool:
    """Return whether orjson's encoding, which is 40 times as fast, is the canonical one or an error.

    It writes floats differently, and sorts keys by code point instead of UTF-16 code unit, which is the same in ASCII.
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is dict:
        return _has_ascii_keys(value) and _are_common(value.values())
    return kind in ARRAYS and _are_common(value)


def _are_common(values: Iterable[Any]) -> bool:
    # A loop, because most values are scalars and a call for each of them would take twice as long.
    for value in values:  # noqa: SIM110
        if type(value) not in SCALARS and not _is_common(value):
            return False
    return True


def _has_ascii_keys(value: dict[Any, Any]) -> bool:
    try:
        return "".join(value).isascii()
    except TypeError:  # a key is not a string
        return False
