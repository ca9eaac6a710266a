"""Recent sign-ins: some actions need a password entered a moment ago, because a session may be left open."""

from typing import Any

from allauth.account.signals import authentication_step_completed, user_logged_in
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest

from core import clock

_KEY = "signed_in_at"


def signed_in_recently(request: HttpRequest) -> bool:
    """Return whether the user of this session entered their password within `RECENT_SIGN_IN`."""
    age = clock.now().timestamp() - request.session.get(_KEY, 0.0)
    return bool(0 <= age < settings.RECENT_SIGN_IN.total_seconds())


@receiver(user_logged_in)
def record_sign_in_time(request: HttpRequest, **kwargs: Any) -> None:
    request.session[_KEY] = clock.now().timestamp()


@receiver(authentication_step_completed)
def record_reauthentication_time(request: HttpRequest, **kwargs: Any) -> None:
    """Record a reauthentication. At a sign-in, this signal comes before the session belongs to the user."""
    if kwargs.get("reauthenticated"):
        request.session[_KEY] = clock.now().timestamp()
