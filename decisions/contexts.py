"""What of a verify's `context` goes into the log."""

from collections.abc import Mapping
from typing import Any

from core.canonical import canonical_json, sha256

MAX_LOGGED_BYTES = 4096
BEGINNING_BYTES = 1024


def context_for_log(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context, or of a long one its size, its digest and its beginning, all of its canonical JSON.

    Rules and limits have seen the whole: this bounds only what anyone can make us keep.
    """
    encoded = canonical_json(dict(context))
    if len(encoded) <= MAX_LOGGED_BYTES:
        return dict(context)
    return {
        "truncated": True,
        "size": len(encoded),
        "sha256": sha256(encoded),
        "beginning": encoded[:BEGINNING_BYTES].decode(errors="ignore"),
    }
