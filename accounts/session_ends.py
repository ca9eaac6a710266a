"""The ends of sessions that a user asks for. Each is logged and immediate: sessions are read from the database."""

from django.db import transaction

from accounts.models import BrowserSession, SessionToken, User
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor


@transaction.atomic
def end_other_sessions(*, actor: Actor, user: User, kept_key: str | None) -> int:
    """End all sessions of the user, except for the browser's with this key. Return how many have ended.

    Raises `NotAuthenticated` if the account has changed.
    """
    held = hold_account(user)
    ended = delete_sessions(held, kept_key=kept_key)
    if ended:
        _record(actor, held, {"endedSessions": ended})
    return ended


def delete_sessions(user: User, *, kept_key: str | None) -> int:
    """Delete the user's sessions, except for the browser's with this key. Return how many."""
    browsers, _ = BrowserSession.objects.filter(user_id=user.id).exclude(pk=kept_key or "").delete()
    tokens, _ = SessionToken.objects.filter(user=user).delete()
    return browsers + tokens


def _record(actor: Actor, user: User, metadata: dict[str, object]) -> None:
    record(Draft(event=Event.USER_SESSION_ENDED, actor=actor, user_id=user.id, metadata=metadata))
