"""The part of a request's `context` that is logged."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import orjson

from audit.entries.drafts import SHORTENED
from audit.sequencing.streams import RESERVED, UNREADABLE
from core.canonical import canonical_json, sha256
from core.money import read_amount

MAX_LOGGED_BYTES = 4096
BEGINNING_BYTES = 1024
# What users read of a call in their history, if the log has no room for its whole context.
NAMED = ("verb", "recipient", "target")
MAX_NAMED_LENGTH = 200
MAX_FIELDS = 20
MAX_FIELD_LENGTH = 40


def context_for_log(context: Mapping[str, Any], encoded: bytes = b"") -> dict[str, Any]:
    """Return the context, encoded, as a member of the part `call`. Of one that is too long, return `shorten` instead.

    `encoded` is its canonical JSON if that is known. Rules evaluate the whole context. This only bounds how much a
    caller can make the log store. The two have names of their own, so no context that a service sends looks like one
    that is shortened.
    """
    encoded = encoded or canonical_json(dict(context))
    if len(encoded) <= MAX_LOGGED_BYTES:
        return {"context": orjson.Fragment(encoded)}
    return {SHORTENED: _shorten(context, encoded)}


def _shorten(context: Mapping[str, Any], encoded: bytes) -> dict[str, Any]:
    """Return the size, digest and beginning of a context, the names of its fields, and what texts say it touches."""
    texts = {name: context.get(name) for name in NAMED}
    return {
        "size": len(encoded),
        "sha256": sha256(encoded),
        "beginning": encoded[:BEGINNING_BYTES].decode(errors="ignore"),
        "fields": [name[:MAX_FIELD_LENGTH] for name in islice(context, MAX_FIELDS)],
        "named": {name: text[:MAX_NAMED_LENGTH] for name, text in texts.items() if isinstance(text, str) and text},
    }


def amount_for_log(context: Mapping[str, Any], *, is_reserved: bool = False) -> dict[str, Any] | None:
    """Return `context.amount`, which counts in the totals of a connection, or None if there is none.

    One that `core.money` cannot read does not count, nor one that is only reserved, and the log says so.
    """
    stated = context.get("amount")
    if stated is None:
        return None
    amount = read_amount(stated)
    if amount is None:
        return dict(UNREADABLE)
    logged = {"currency": amount.currency, "value": amount.value}
    return {**logged, RESERVED: True} if is_reserved else logged
