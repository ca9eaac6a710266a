"""Canonical bytes: one value, one encoding (RFC 8785), so that a digest can be made again."""

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme encoding. Raises `ValueError` for what JSON cannot hold."""
    return rfc8785.dumps(value)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
