"""Globs and URI templates (RFC 6570) of resources: which are allowed, and which URIs they match.

Callers send the URIs, and upstreams the templates. So both are bounded, and nothing here backtracks.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_URI = 2000
_VARIABLE = re.compile(r"\{([+#/?&;.]?)[^{}]+\}")
_QUERY = re.compile(r"\{[?&][^{}]+\}")
_WILDCARD = re.compile(r"\{|\*+")


def problem_of(pattern: str) -> str | None:
    """Return why a URI, glob or URI template is not matched. None if it is.

    One segment has one wildcard at most, and one wildcard of all spans segments.
    """
    path = _QUERY.sub("", pattern)
    shape = _VARIABLE.sub("{", path)
    if "}" in shape or shape.count("{") != len(_VARIABLE.findall(path)):
        return "has braces that enclose no variable. Write each variable as {name}"
    segments = glob_of(pattern).split("/")
    if any(len(_WILDCARD.findall(one)) > 1 for one in [*shape.split("/"), *segments]):
        return "has several variables or stars in one segment. Write one in each, and a query as {?a,b}"
    if sum("**" in one for one in segments) > 1:
        return "has several variables or stars that span segments. Write one, as {+name} or **"
    return None


def glob_of(template: str) -> str:
    """Return a URI template as a glob: a variable is part of a segment, `{+name}` and `{name*}` anything.

    RFC 6570 has `{name*}` for lists; FastMCP's servers have it for several segments.
    """
    return _VARIABLE.sub(lambda found: "**" if found[1] or found[0].endswith("*}") else "*", template)


def example_of(template: str) -> str:
    """Return a URI that a URI template has."""
    return _VARIABLE.sub("x", template)


def segments_of(uri: str) -> list[str] | None:
    """Return what `matches` compares. None if the URI is too long to match anything."""
    return uri.split("/") if len(uri) <= MAX_URI else None


def is_of(template: str, uri: str) -> bool:
    """Return whether a URI is of a template that has no problem. A query may follow, whatever it holds."""
    path = _QUERY.sub("", template)
    if "#" not in path:
        uri = uri.partition("#")[0]
    if "?" not in path:
        uri = uri.partition("?")[0]
    segments = segments_of(uri)
    return segments is not None and matches(path, segments)


def matches(pattern: str, segments: list[str]) -> bool:
    """Return whether a glob or URI template that has no problem matches a URI, in time linear in its length.

    `*` stays within a segment, `**` does not, and `?` is one character of a segment.
    """
    before, spanning, after = _parts(pattern)
    fixed = len(before) + len(after)
    if spanning is None:
        return len(segments) == fixed and all(map(_has, before, segments))
    end = len(segments) - len(after)
    if end <= len(before) or not all(map(_has, before, segments)):
        return False
    return all(map(_has, after, segments[end:])) and _has(spanning, "/".join(segments[len(before) : end]))


# Literal text, or what is before and behind a wildcard.
_Part = tuple[str] | tuple[str, str]


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[tuple[_Part, ...], _Part | None, tuple[_Part, ...]]:
    """Return the segments before the one with `**`, that one, and those behind it."""
    found = glob_of(pattern).split("/")
    at = next((index for index, one in enumerate(found) if "**" in one), None)
    if at is None:
        return tuple(map(_part, found)), None, ()
    return tuple(map(_part, found[:at])), _part(found[at]), tuple(map(_part, found[at + 1 :]))


def _part(segment: str) -> _Part:
    beginning, star, end = segment.partition("*")
    return (beginning, end.lstrip("*")) if star else (beginning,)


def _has(part: _Part, text: str) -> bool:
    if len(part) == 1:
        return _is(part[0], text)
    beginning, end = part
    behind = len(text) - len(end)
    return len(beginning) <= behind and _is(beginning, text[: len(beginning)]) and _is(end, text[behind:])


def _is(literal: str, text: str) -> bool:
    if "?" not in literal:
        return literal == text
    return len(literal) == len(text) and all(
        one == other or (one == "?" and other != "/") for one, other in zip(literal, text, strict=True)
    )
