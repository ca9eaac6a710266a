"""Codes that an authenticator app shows."""

from accounts.totp import STEP_SECONDS, code_at
from core import clock


def code_now(secret: str, steps: int = 0) -> str:
    """Return the app's present code, or the one that it shows `steps` of 30 seconds later."""
    return code_at(secret, int(clock.now().timestamp()) // STEP_SECONDS + steps)
