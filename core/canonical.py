"""Canonical JSON (RFC 8785): each value has one encoding, so that its digest can be recomputed."""

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme encoding. Raises `ValueError` if JSON cannot represent `value`."""
    return rfc8785.dumps(value)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
