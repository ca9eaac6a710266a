"""How deeply JSON may be nested. Parsers recurse, and a thread's stack is smaller than they assume."""

import re
from base64 import urlsafe_b64decode

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


def is_jwt_too_deep(token: str) -> bool:
    """Return whether the header or the claims of a JWT are nested too deeply. One that cannot be read is not."""
    try:
        return any(is_too_deep(urlsafe_b64decode(f"{part}==").decode()) for part in token.split(".")[:2])
    except ValueError:
        return False
