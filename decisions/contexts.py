"""The part of a request's `context` that is logged."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from core.canonical import canonical_json, sha256
from decisions.currencies import CURRENCIES

MAX_LOGGED_BYTES = 4096
BEGINNING_BYTES = 1024
AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,8})?")


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


def amount_for_log(context: Mapping[str, Any]) -> dict[str, str] | None:
    """Return `context.amount`, which counts in the totals of a connection, or None if there is none that could be paid.

    Its value is a decimal number without a sign, as text, and its currency an active code of ISO 4217.
    """
    amount = context.get("amount")
    if not isinstance(amount, Mapping):
        return None
    value, currency = amount.get("value"), amount.get("currency")
    if not (isinstance(value, str) and AMOUNT.fullmatch(value)):
        return None
    if not (isinstance(currency, str) and currency in CURRENCIES):
        return None
    return {"currency": currency, "value": value}
