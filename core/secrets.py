"""Bearer secrets: 256 random bits behind a scannable prefix, of which only a digest is stored.

A slow hash is for passwords, which can be guessed; these cannot.
"""

import hashlib
import hmac
import secrets


def new_secret(prefix: str) -> str:
    """Return `<prefix>_` and 256 random bits in base64url."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """Return the SHA-256 of `secret` in hexadecimal: what is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def matches(secret: str, stored_digest: str) -> bool:
    """Return whether `secret` has that digest, in constant time."""
    return hmac.compare_digest(digest(secret), stored_digest)
