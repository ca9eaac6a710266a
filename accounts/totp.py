"""Codes of authenticator apps (TOTP, RFC 6238): six digits that change every 30 seconds."""

from urllib.parse import quote, urlencode

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.utils.crypto import constant_time_compare

from core import clock

ISSUER = "AgentGate"
STEP_SECONDS = 30
# Clocks may differ by one step, and a code may be typed just before it ends.
TOLERANCE = 1
DIGITS = 6


def matching_step(secret: str, code: str, *, after: int = 0) -> int | None:
    """Return the time step of `code`, or None if it is wrong. Steps up to `after` have been used."""
    typed = "".join(code.split())
    if not (len(typed) == DIGITS and typed.isascii() and typed.isdigit()):
        return None
    now = int(clock.now().timestamp()) // STEP_SECONDS
    steps = range(max(now - TOLERANCE, after + 1), now + TOLERANCE + 1)
    return next((step for step in steps if constant_time_compare(code_at(secret, step), typed)), None)


def code_at(secret: str, step: int) -> str:
    return str(format_hotp_value(hotp_value(secret, step)))


def setup_url(secret: str, account: str) -> str:
    """Return the `otpauth:` URL that an authenticator app reads from a QR code."""
    query = urlencode({"secret": secret, "issuer": ISSUER}, quote_via=quote)
    return f"otpauth://totp/{ISSUER}:{quote(account)}?{query}"
