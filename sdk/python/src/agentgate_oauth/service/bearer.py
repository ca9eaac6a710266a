"""Reading the bearer token of a request, from the `Authorization` header only."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The b64token of RFC 6750 section 2.1. No real token makes the header this long.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*) *")
_MAX_HEADER_LENGTH = 16384


class MalformedCredential(Exception):
    """The bearer credential does not contain a readable token."""


def read_bearer(authorization: Sequence[str]) -> str | None:
    """Return the bearer token of a request's `Authorization` headers, None if there is none.

    Raises MalformedCredential if it cannot be read, or if there are several headers, which is ambiguous.
    """
    if not any(value[:6].lower() == "bearer" for value in authorization):
        return None
    match = _BEARER.fullmatch(authorization[0]) if len(authorization[0]) <= _MAX_HEADER_LENGTH else None
    if len(authorization) != 1 or match is None:
        raise MalformedCredential
    return match[1]
