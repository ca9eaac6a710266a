"""Glob patterns: `*` is any text, `?` any one character. Everything else is literal, and case matters."""

import re
from functools import lru_cache

MAX_PATTERNS = 4096
WILDCARDS = frozenset("*?")


@lru_cache(MAX_PATTERNS)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return an expression that must match the whole text.

    Each part between two stars is searched once and never again (an atomic group), so the time is bounded by the
    product of the lengths.
    """
    first, *rest = map(_literal, pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    found = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


def _literal(part: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in part)
