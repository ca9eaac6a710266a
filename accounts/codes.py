"""Codes that verify an email address. They are sent by email and stored as keyed digests.

A code has 50 random bits, so no counter of wrong guesses per code is needed. An attacker could use up such a counter to
cancel the owner's code. Guesses are limited by IP address instead.
"""

import secrets
from contextlib import AbstractContextManager
from datetime import timedelta

from django.conf import settings

from accounts.errors import InvalidCode
from core.actor import Actor
from core.canonical import canonical_json
from core.crypto import keyed_digest
from limits.throttle import Throttle, address_subjects

LIFETIME = timedelta(minutes=15)
# Crockford's Base32 has no characters that look alike.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 10
_MISREAD = str.maketrans("OIL", "011", "- \t")


def new_code() -> str:
    """Return a code such as `7KQ2M-XX04Z`."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{code[:5]}-{code[5:]}"


def code_digest(code: str, *context: str) -> str:
    """Return the digest of a code as the user typed it, bound to `context`: what it verifies, and for whom.

    The digest is an HMAC, so the time that a lookup takes reveals nothing about the code.
    """
    typed = code.upper().translate(_MISREAD)
    return keyed_digest("address-code", canonical_json([*context, typed]))


def code_attempt(actor: Actor) -> AbstractContextManager[None]:
    """Count an `InvalidCode` raised inside by IP address. Raises `Throttled`. Use it outside any transaction."""
    throttle = Throttle("address-code", settings.THROTTLE_SIGN_IN)
    return throttle.guess(*address_subjects(actor.ip or ""), wrong=InvalidCode)
