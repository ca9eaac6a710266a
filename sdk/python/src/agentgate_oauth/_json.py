"""Read the JSON of responses strictly, so that no two parsers can understand one differently."""

from __future__ import annotations

import json
import re
from typing import Any

# AgentGate's own responses have at most 32 levels of a caller's context, and a few around them.
MAX_DEPTH = 64
# An unterminated string runs to the end, so that hostile text takes linear time.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_json(content: bytes) -> Any:
    """Return the parsed document. Raises ValueError.

    Refused are repeated names, numbers that JSON does not have, lone surrogates, and more than `MAX_DEPTH`
    levels: parsers recurse, and the caller's stack may have little room.
    """
    text = content.decode("utf-8")
    _require_shallow(text)
    document = json.loads(text, object_pairs_hook=_without_repetitions, parse_constant=_refuse_constant)
    if "\\ud" in text.lower():
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _require_shallow(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _TOKENS.finditer(text):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > MAX_DEPTH:
            raise ValueError("the JSON is nested too deeply")


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated in an object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
