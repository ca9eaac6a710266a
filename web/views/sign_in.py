"""allauth's pages for the password, with the agent that waits and the passkeys that can be used instead."""

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
from web.access import page, say_undone, with_next
from web.waiting import is_consent_page, waiting_agent

_WANTED = "wanted_after_reset"


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
        return {**super().get_context_data(**kwargs), **more}


class ForgotPasswordView(views.PasswordResetView):
    """Remember the page that the person was on the way to. The link in the email does not name it."""

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


@require_safe
@never_cache
def password_chosen(request: HttpRequest) -> HttpResponse:
    """Say that the password was changed, and lead on. A consent page whose agent no longer waits is forgotten."""
    wanted = request.session.pop(_WANTED, None)
    waiting = waiting_agent(request, wanted)
    if waiting is None and is_consent_page(wanted):
        wanted = None
    context = {"login_url": with_next("account_login", wanted), "wanted": wanted, "waiting": waiting}
    return render(request, "account/password_reset_from_key_done.html", context)


log_in = page(LoginView.as_view())
reauthenticate = page(ReauthenticateView.as_view())
forgot_password = ForgotPasswordView.as_view()
