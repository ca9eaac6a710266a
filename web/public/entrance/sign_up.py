"""Sign-up and password reset. An account is created when its code is entered in the browser that asked for it."""

from typing import Any

from allauth.account.forms import ResetPasswordKeyForm
from allauth.account.utils import get_next_redirect_url, perform_login
from allauth.account.views import PasswordResetFromKeyView
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import codes
from accounts.codes import code_attempt
from accounts.forms import PASSWORD_HELP, CodeField, EmailField
from accounts.models import PendingRegistration, User
from accounts.registration import confirm_sign_up, start_registration
from accounts.services import add_user, new_user
from accounts.throttles import throttle_registration
from core.errors import DomainError, NotAuthenticated, Unavailable
from core.http import SeeOther, visitor
from web.forms.fields import show_in
from web.public.entrance.sign_in import remember_reset
from web.public.entrance.waiting import waiting_agent
from web.requests.access import page, with_next

_SIGNING_UP = "signing_up"


class SignUpForm(forms.Form):
    email = EmailField()
    password1 = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=PASSWORD_HELP,
    )


class CodeForm(forms.Form):
    code = CodeField()


@sensitive_post_parameters("password1")
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@page
def sign_up(request: HttpRequest) -> HttpResponse:
    """Register a user. If addresses must be verified, the response is the same for new and taken addresses."""
    if request.user.is_authenticated:
        return redirect(_next(request) or settings.LOGIN_REDIRECT_URL)
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        try:
            return _register(request, form.cleaned_data["email"], form.cleaned_data["password1"])
        except Unavailable:
            raise
        except DomainError as error:
            show_in(form, error, {"password": "password1"})
    return render(request, "account/signup.html", _context(request, form), status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm(request: HttpRequest) -> HttpResponse:
    """Accept the code for the registration that this browser session started."""
    waiting: dict[str, str] | None = request.session.get(_SIGNING_UP)
    if waiting is None or request.user.is_authenticated:
        return redirect(with_next("account_signup", _next(request)))
    form = CodeForm(request.POST or None)
    if form.is_valid():
        try:
            user = _confirm(request, waiting, form.cleaned_data["code"])
        except DomainError as error:
            show_in(form, error)
        else:
            del request.session[_SIGNING_UP]
            request.session.set_expiry(None)
            return _sign_in(request, user, waiting["next"])
    context = {
        "form": form,
        "email": waiting["email"],
        "wanted": waiting["next"],
        "again_url": with_next("account_signup", waiting["next"]),
        "waiting": waiting_agent(request, waiting["next"]),
    }
    return render(request, "account/signup_code.html", context, status=422 if form.is_bound else 200)


class ChoosePasswordView(PasswordResetFromKeyView):
    """The page that the emailed link opens. A link that is invalidated after the check counts as expired."""

    def form_valid(self, form: ResetPasswordKeyForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except NotAuthenticated:
            return self.render_to_response(self.get_context_data(form=form, token_fail=True))
        remember_reset(self.request, form.user)
        return response


choose_password = page(ChoosePasswordView.as_view())


def _register(request: HttpRequest, email: str, password: str) -> HttpResponse:
    actor, wanted = visitor(request), _next(request)
    throttle_registration(actor)
    user = new_user(email=email, password=password, language=get_language() or "")
    if not settings.REQUIRE_VERIFIED_EMAIL:
        return _sign_in(request, add_user(actor=actor, user=user), wanted)
    pending = start_registration(actor=actor, kind=PendingRegistration.Kind.BROWSER, user=user)
    # The session has the address of someone without an account, so it ends with the registration.
    request.session.set_expiry(codes.LIFETIME)
    request.session[_SIGNING_UP] = {"id": pending.id, "email": pending.email, "next": wanted}
    return SeeOther(reverse("account_confirm_signup"))


def _confirm(request: HttpRequest, waiting: dict[str, str], code: str) -> User:
    actor = visitor(request)
    with code_attempt(actor):
        return confirm_sign_up(actor=actor, pending_id=waiting["id"], email=waiting["email"], code=code)


def _sign_in(request: HttpRequest, user: User, wanted: str) -> HttpResponse:
    response: HttpResponse = perform_login(request, user, redirect_url=wanted or None, signup=True)
    return response


def _context(request: HttpRequest, form: SignUpForm) -> dict[str, Any]:
    wanted = _next(request)
    login_url = with_next("account_login", wanted)
    return {"form": form, "wanted": wanted, "login_url": login_url, "waiting": waiting_agent(request, wanted)}


def _next(request: HttpRequest) -> str:
    """Return the URL to redirect to afterwards, if it is on this site."""
    return get_next_redirect_url(request) or ""
