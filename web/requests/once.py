"""Keep a new secret across the redirect after a POST, to show it once.

Between the two requests it is stored in the session, encrypted, so a copy of the database does not reveal it.
"""

import json
import time

from django.http import HttpRequest

from core.crypto import SealBroken, open_sealed_text, seal_text

SESSION_KEY = "shown_once"
PURPOSE = "web.shown_once"
LIFETIME_SECONDS = 300


def put(request: HttpRequest, subject: str, secret: str) -> None:
    """Keep `secret` for the next page about `subject`, for at most five minutes."""
    content = json.dumps([subject, secret, time.time() + LIFETIME_SECONDS])
    request.session[SESSION_KEY] = seal_text(PURPOSE, content)


def is_waiting(request: HttpRequest) -> bool:
    """Return whether a secret waits to be shown."""
    return SESSION_KEY in request.session


def take(request: HttpRequest, subject: str) -> str | None:
    """Return the secret kept for `subject` and forget it. Return None if there is none or it has expired.

    A HEAD request does not consume it, because its response has no body to show the secret in.
    """
    sealed = request.session.get(SESSION_KEY)
    if sealed is None or request.method == "HEAD":
        return None
    try:
        kept_for, secret, until = json.loads(open_sealed_text(PURPOSE, sealed))
    except (SealBroken, ValueError):
        kept_for, secret, until = None, None, 0
    if kept_for == subject or time.time() > until:
        del request.session[SESSION_KEY]
    return secret if kept_for == subject and time.time() <= until else None
