"""Recent sign-ins: some actions require that the user just entered a password or used a passkey.

A session may be left open, and an agent may drive the browser of the user. So only a password or a passkey counts.
Activity never counts, and neither does a code from an authenticator app alone.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from allauth.account.signals import authentication_step_completed, user_logged_in
from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.errors import ReauthenticationRequired
from core import clock
from core.http import SeeOther
from core.wording import Filled

RECENT_SIGN_IN = timedelta(minutes=5)

_KEY, _UNDONE = "signed_in_at", "undone_post"


def time_of_sign_in(request: HttpRequest) -> datetime | None:
    """Return when the user of this browser session last proved who they are, or None if that is unknown."""
    seconds = request.session.get(_KEY)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def is_recent(signed_in_at: datetime | None) -> bool:
    """Return whether this sign-in was within `RECENT_SIGN_IN`. None, or a time in the future, is not."""
    if signed_in_at is None:
        return False
    age = (clock.now() - signed_in_at).total_seconds()
    return bool(0 <= age < RECENT_SIGN_IN.total_seconds())


def require_recent_sign_in(signed_in_at: datetime | None) -> None:
    """Raise `ReauthenticationRequired` unless this sign-in was within `RECENT_SIGN_IN`.

    Pages pass `time_of_sign_in`, and the API `UserEndpoint.signed_in_at`. None means that the user never signed in.
    """
    if not is_recent(signed_in_at):
        minutes = RECENT_SIGN_IN.total_seconds() // 60
        raise ReauthenticationRequired(
            Filled(gettext_noop("This needs a sign-in within the last %(minutes)d minutes."), minutes=minutes)
        )


def ask_for_password(request: HttpRequest, *, is_undone: bool) -> HttpResponse:
    """Redirect to the page that asks for the password and then redirects back with GET.

    If `is_undone`, `say_undone` then says that nothing was changed.

    Danger: unlike allauth's `ReauthenticationRequired`, do not repeat the POST. It may come from an agent that drives
    the browser, and the user would enter the password without seeing what it does.
    """
    path = request.get_full_path()
    request.session[_UNDONE] = path if is_undone else ""
    return SeeOther(f"{reverse('account_reauthenticate')}?{urlencode({'next': path})}")


def say_undone(request: HttpRequest) -> None:
    """If the password was required for a POST to the page that follows, say there that the POST has not been done."""
    undone = request.session.pop(_UNDONE, "")
    if undone and undone == get_next_redirect_url(request):
        text = _("You confirmed that it is you. Nothing has been changed yet, so make your choice again.")
        messages.warning(request, text)


@receiver(user_logged_in)
def record_sign_in_time(request: HttpRequest, **kwargs: Any) -> None:
    request.session[_KEY] = clock.now().timestamp()


@receiver(authentication_step_completed)
def record_reauthentication_time(request: HttpRequest, **kwargs: Any) -> None:
    """Record a reauthentication. During a sign-in, this signal is sent before the session belongs to the user."""
    if kwargs.get("reauthenticated"):
        request.session[_KEY] = clock.now().timestamp()
