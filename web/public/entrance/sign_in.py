"""allauth's password pages, with the waiting agent and the option to use a passkey instead."""

from datetime import timedelta
from typing import Any

from allauth.account import views
from allauth.account.utils import get_next_redirect_url
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.authenticators import passkeys_of
from accounts.models import User
from accounts.recent import say_undone
from agents.issued import IssuedList, issued_since
from core import clock
from developers.selectors import memberships_of
from web.public.entrance.purposes import describe
from web.public.entrance.waiting import is_consent_page, waiting_agent
from web.requests.access import page, with_next
from web.user.account.issued import DAYS

_WANTED, _RESET = "wanted_after_reset", "reset_user"
# The number on the page after a reset. The page after the sign-in lists all.
MAX_LISTED = 20


class LoginView(views.LoginView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        wanted = get_next_redirect_url(self.request)
        reset_url = with_next("account_reset_password", wanted)
        more = {"waiting": waiting_agent(self.request, wanted), "reset_url": reset_url, "wanted": wanted}
        return {**super().get_context_data(**kwargs), **more}


class ReauthenticateView(views.ReauthenticateView):
    def form_valid(self, form: Form) -> HttpResponse:
        say_undone(self.request)
        response: HttpResponse = super().form_valid(form)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        wanted = get_next_redirect_url(self.request)
        has_passkey = passkeys_of(self.request.user).exists()
        more = {"has_passkey": has_passkey, "wanted": wanted, "reset_url": with_next("account_reset_password", wanted)}
        return {**super().get_context_data(**kwargs), **more, **describe(self.request, wanted)}


class ForgotPasswordView(views.PasswordResetView):
    """Remember the page that the user wanted, because the link in the email does not name it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "wanted": get_next_redirect_url(self.request)}

    def get_success_url(self) -> str:
        return reverse("account_reset_password_done")

    def form_valid(self, form: Form) -> HttpResponse:
        wanted = get_next_redirect_url(self.request)
        if wanted:
            self.request.session[_WANTED] = wanted
        response: HttpResponse = super().form_valid(form)
        return response


def remember_reset(request: HttpRequest, user: User) -> None:
    """Let the next page list the developer credentials of the user's account, because a reset does not end them."""
    request.session[_RESET] = user.id


def _issued(request: HttpRequest) -> IssuedList | None:
    """Return the recent credentials of the account whose password was just reset. None if it is not a developer's."""
    user = User.objects.filter(pk=request.session.pop(_RESET, None)).first()
    if user is None or not memberships_of(user).exists():
        return None
    return issued_since(user, clock.now() - timedelta(days=DAYS), MAX_LISTED)


@require_safe
@never_cache
def password_chosen(request: HttpRequest) -> HttpResponse:
    """Say that the password was changed, list what that does not end, and link to the next page.

    A consent page is forgotten if its agent no longer waits.
    """
    wanted = request.session.pop(_WANTED, None)
    waiting = waiting_agent(request, wanted)
    if waiting is None and is_consent_page(wanted):
        wanted = None
    context = {
        "login_url": with_next("account_login", wanted),
        "wanted": wanted,
        "waiting": waiting,
        "issued": _issued(request),
        "issued_url": with_next("account_login", reverse("web:issued")),
    }
    return render(request, "account/password_reset_from_key_done.html", context)


log_in = page(LoginView.as_view())
reauthenticate = page(ReauthenticateView.as_view())
forgot_password = ForgotPasswordView.as_view()
