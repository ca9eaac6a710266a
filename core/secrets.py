"""Bearer secrets: 256 random bits with a prefix that secret scanners recognize. Only their digests are stored.

They need no slow hash, because unlike passwords they cannot be guessed.
"""

import hashlib
import hmac
import secrets


def new_secret(prefix: str) -> str:
    """Return `<prefix>_` and 256 random bits in base64url."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """Return the SHA-256 of `secret` in hexadecimal, as it is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def matches(secret: str, stored_digest: str) -> bool:
    """Return whether `secret` has this digest, comparing in constant time."""
    return hmac.compare_digest(digest(secret), stored_digest)
