"""How deeply JSON may be nested. Parsers recurse, and a thread's stack is smaller than they assume."""

import re

MAX_DEPTH = 32
# Possessive quantifiers, so that hostile text takes linear time. An unterminated string runs to the end.
BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


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
