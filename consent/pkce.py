"""Proof key for code exchange (RFC 7636), S256 only."""

import base64
import hashlib
import hmac
import re

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Return whether `text` can be an S256 challenge: 43 characters of base64url (section 4.2)."""
    return CHALLENGE.fullmatch(text) is not None


def verifier_matches(verifier: str, challenge: str) -> bool:
    """Return whether the challenge is the S256 of the verifier (section 4.6)."""
    if not VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)
