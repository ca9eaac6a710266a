"""The part of a request's `context` that is logged."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from audit.sequencing.streams import UNREADABLE
from core.canonical import canonical_json, sha256
from decisions.currencies import CURRENCIES

MAX_LOGGED_BYTES = 4096
BEGINNING_BYTES = 1024
VALUE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,8})?")


def context_for_log(context: Mapping[str, Any]) -> orjson.Fragment | dict[str, Any]:
    """Return the context, encoded. If that is too long, return its size, digest and beginning instead.

    Rules evaluate the whole context. This only bounds how much a caller can make the log store.
    """
    encoded = canonical_json(dict(context))
    if len(encoded) <= MAX_LOGGED_BYTES:
        return orjson.Fragment(encoded)
    return {
        "truncated": True,
        "size": len(encoded),
        "sha256": sha256(encoded),
        "beginning": encoded[:BEGINNING_BYTES].decode(errors="ignore"),
    }


def amount_for_log(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return `context.amount`, which counts in the totals of a connection, or None if there is none.

    Its value is a decimal number without a sign, as text, or a whole number, and its currency an active code of
    ISO 4217. Any other amount is unreadable: it does not count, and the log says so.
    """
    amount = context.get("amount")
    if amount is None:
        return None
    if not isinstance(amount, Mapping):
        return dict(UNREADABLE)
    value, currency = _spell(amount.get("value")), amount.get("currency")
    if not (isinstance(value, str) and VALUE.fullmatch(value)):
        return dict(UNREADABLE)
    if not (isinstance(currency, str) and currency in CURRENCIES):
        return dict(UNREADABLE)
    return {"currency": currency, "value": value}


def _spell(value: Any) -> Any:
    """Return a whole number as text. Canonical JSON, which the log has, spells 1000.0 and 1e3 as 1000."""
    is_whole = type(value) is int or (type(value) is float and value.is_integer())
    return str(int(value)) if is_whole else value
