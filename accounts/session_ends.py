"""End sessions at the request of a user. This is logged, and immediate because sessions are read from the database."""

from django.db import transaction

from accounts.models import BrowserSession, SessionToken, User
from accounts.selectors import browser_session_id
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.errors import NotFound


@transaction.atomic
def end_session(*, actor: Actor, user: User, session_id: str) -> None:
    """End one of the user's own sessions, of the API or a browser. Raises `NotFound`."""
    if not _delete_one(user, session_id):
        raise NotFound("No such session.")
    _record(actor, user, {"sessionId": session_id})


@transaction.atomic
def end_other_sessions(*, actor: Actor, user: User, kept_key: str | None) -> int:
    """End all sessions of the user except the browser session with this key. Return the number ended.

    Raises `NotAuthenticated` if the account has changed.
    """
    held = hold_account(user)
    ended = delete_sessions(held, kept_key=kept_key)
    if ended:
        _record(actor, held, {"endedSessions": ended})
    return ended


def end_all_sessions(*, actor: Actor, reason: str) -> int:
    """End all browser and API sessions of all users. Return the number ended."""
    browsers = BrowserSession.objects.filter(user_id__isnull=False).values_list("user_id", flat=True)
    users = {*browsers, *SessionToken.objects.values_list("user_id", flat=True)}
    return sum(_end_all_of(user, actor, reason) for user_id in users for user in User.objects.filter(pk=user_id))


@transaction.atomic
def _end_all_of(user: User, actor: Actor, reason: str) -> int:
    ended = delete_sessions(user, kept_key=None)
    _record(actor, user, {"endedSessions": ended, "reason": reason})
    return ended


def delete_sessions(user: User, *, kept_key: str | None) -> int:
    """Delete the user's sessions except the browser session with this key. Return the number deleted."""
    browsers, _ = BrowserSession.objects.filter(user_id=user.id).exclude(pk=kept_key or "").delete()
    tokens, _ = SessionToken.objects.filter(user=user).delete()
    return browsers + tokens


def _delete_one(user: User, session_id: str) -> int:
    keys = BrowserSession.objects.filter(user_id=user.id).values_list("pk", flat=True)
    key = next((key for key in keys if browser_session_id(key) == session_id), None)
    rows = BrowserSession.objects.filter(pk=key) if key else SessionToken.objects.filter(user=user, id=session_id)
    deleted: int = rows.delete()[0]
    return deleted


def _record(actor: Actor, user: User, metadata: dict[str, object]) -> None:
    record(Draft(event=Event.USER_SESSION_ENDED, actor=actor, user_id=user.id, metadata=metadata))
