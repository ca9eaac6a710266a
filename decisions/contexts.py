"""The part of a request's `context` that is logged."""

from collections.abc import Mapping
from typing import Any

import orjson

from audit.readers.decided import TRUNCATED
from audit.sequencing.streams import RESERVED, UNREADABLE
from core.canonical import canonical_json, sha256
from core.money import read_amount

MAX_LOGGED_BYTES = 4096
BEGINNING_BYTES = 1024
# What users read of a call in their history, if the log has no room for its whole context.
NAMED = ("verb", "recipient", "target")
MAX_NAMED_LENGTH = 200


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


def is_shortened(logged: Mapping[str, Any]) -> bool:
    """Return whether a context in the log is only the beginning of what the service sent."""
    return logged.keys() == TRUNCATED


def named_for_log(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in a context that say what it touches, shortened. For contexts that are too long for the log."""
    texts = {name: context.get(name) for name in NAMED}
    return {name: text[:MAX_NAMED_LENGTH] for name, text in texts.items() if isinstance(text, str) and text}


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
