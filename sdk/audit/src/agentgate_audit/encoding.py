"""Base64 with exactly one spelling per value: otherwise a changed character could decode to the same bytes."""

from __future__ import annotations

import base64
import binascii

from .errors import Broken


def decode_base64(text: str, what: str) -> bytes:
    """Return the bytes of standard Base64 (RFC 4648, section 4). Raises `Broken`."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise Broken(f"{what} is not Base64") from None
    if encode_base64(data) != text:
        raise Broken(f"{what} is not Base64 in its only spelling")
    return data


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64url(text: str, what: str) -> bytes:
    """Return the bytes of Base64 for URLs without padding (RFC 7515, section 2). Raises `Broken`."""
    if "+" in text or "/" in text or "=" in text:
        raise Broken(f"{what} is not Base64 for URLs")
    standard = text.replace("-", "+").replace("_", "/")
    return decode_base64(standard + "=" * (-len(standard) % 4), what)


def decode_hash(text: object, what: str) -> bytes:
    """Return the 32 bytes of a SHA-256 hash in Base64. Raises `Broken`."""
    data = decode_base64(text, what) if isinstance(text, str) else b""
    if len(data) != 32:
        raise Broken(f"{what} is not a SHA-256 hash")
    return data
