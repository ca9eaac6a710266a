"""Reads of people and their sessions."""

from django.db.models import QuerySet

from accounts.models import SessionToken, User
from core import clock, secrets


def session_for_token(token: str) -> SessionToken | None:
    """Return the live session of an active person. None for anything else."""
    return (
        SessionToken.objects.select_related("user")
        .filter(digest=secrets.digest(token), expires_at__gt=clock.now(), user__is_active=True)
        .first()
    )


def sessions_for_user(user: User) -> QuerySet[SessionToken]:
    """Return the person's live API sessions, newest first."""
    return SessionToken.objects.filter(user=user, expires_at__gt=clock.now())
