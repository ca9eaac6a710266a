"""Proof Key for Code Exchange (RFC 7636): only the program that requested a code can exchange it."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode


def pkce_pair() -> tuple[str, str]:
    """Return a new `code_verifier` and its S256 `code_challenge`.

    Pass the challenge to `request_consent`. Keep the verifier in the user's session, and pass it to
    `create_session`.
    """
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, urlsafe_b64encode(digest).rstrip(b"=").decode()
