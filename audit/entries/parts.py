"""Parts of an entry that not every reader sees, and the digests that stand for them in the hashed record.

A part is a disclosure, as in SD-JWT (RFC 9901): the canonical JSON of `["<salt>", "<name>", <value>]`. Its digest is
SHA-256. A group of parts has one root, the SHA-256 of their digests in order, so a reader who sees some of the parts
needs only the digests of the others.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from core.canonical import canonical_json

SECRET_BYTES = 16
SALT_BYTES = 16


def disclosures(secret: bytes, parts: Mapping[str, Any]) -> list[bytes]:
    """Return a disclosure for each part, in order. Their salts are derived from the secret, 128 bits each."""
    return encoded_disclosures(secret, [(name, canonical_json(value)) for name, value in parts.items()])


def encoded_disclosures(secret: bytes, parts: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Return the same for parts whose values are encoded already."""
    salts = hashlib.shake_256(secret).hexdigest(SALT_BYTES * len(parts)).encode()
    found, start = [], 0
    for name, value in parts:
        end = start + 2 * SALT_BYTES
        found.append(b'["%b","%b",%b]' % (salts[start:end], name.encode(), value))
        start = end
    return found


def commit(secret: bytes, parts: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the root of `encoded_disclosures` in hexadecimal, in half the time. There must be a part."""
    salts = hashlib.shake_256(secret).hexdigest(SALT_BYTES * len(parts)).encode()
    sha256, digests, start = hashlib.sha256, b"", 0
    for name, value in parts:
        end = start + 2 * SALT_BYTES
        digests += sha256(b'["%b","%b",%b]' % (salts[start:end], name, value)).digest()
        start = end
    return sha256(digests).hexdigest()


def digest(disclosure: bytes) -> bytes:
    return hashlib.sha256(disclosure).digest()


def root(found: Sequence[bytes]) -> str | None:
    """Return the root of a group of disclosures in hexadecimal, or None if it has none."""
    if not found:
        return None
    sha256 = hashlib.sha256
    return sha256(b"".join([sha256(one).digest() for one in found])).hexdigest()
