"""Carry a new secret over the redirect after a POST, to be shown a single time.

Between the two requests it lies in the session sealed, so that a copy of the database gives nothing away.
"""

import json
import time
from base64 import b64decode, b64encode

from django.http import HttpRequest

from core.crypto import SealBroken, open_sealed, seal

SESSION_KEY = "shown_once"
PURPOSE = "web.shown_once"
LIFETIME_SECONDS = 300


def put(request: HttpRequest, subject: str, secret: str) -> None:
    """Keep `secret` for the next page about `subject`, for five minutes at most."""
    content = json.dumps([subject, secret, time.time() + LIFETIME_SECONDS])
    request.session[SESSION_KEY] = b64encode(seal(PURPOSE, content.encode())).decode()


def take(request: HttpRequest, subject: str) -> str | None:
    """Return the secret kept for `subject` and forget it. None if there is none, or it waited too long.

    A HEAD leaves it: its answer has no body in which anybody could read the secret.
    """
    sealed = request.session.get(SESSION_KEY)
    if sealed is None or request.method == "HEAD":
        return None
    try:
        kept_for, secret, until = json.loads(open_sealed(PURPOSE, b64decode(sealed)))
    except (SealBroken, ValueError):
        kept_for, secret, until = None, None, 0
    if kept_for == subject or time.time() > until:
        del request.session[SESSION_KEY]
    return secret if kept_for == subject and time.time() <= until else None
