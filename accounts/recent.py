"""Whether the person at this browser gave their password a moment ago: a session left open is not enough."""

from typing import Any

from allauth.account.signals import authentication_step_completed, user_logged_in
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest

from core import clock

_KEY = "signed_in_at"


def signed_in_recently(request: HttpRequest) -> bool:
    """Return whether this session's password was given within `RECENT_SIGN_IN`."""
    age = clock.now().timestamp() - request.session.get(_KEY, 0.0)
    return bool(0 <= age < settings.RECENT_SIGN_IN.total_seconds())


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest, **kwargs: Any) -> None:
    request.session[_KEY] = clock.now().timestamp()


@receiver(authentication_step_completed)
def note_reauthentication(request: HttpRequest, **kwargs: Any) -> None:
    """Note a repeated password; at a sign-in the step comes before the session is the person's."""
    if kwargs.get("reauthenticated"):
        request.session[_KEY] = clock.now().timestamp()
