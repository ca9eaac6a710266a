"""Sign in and reauthenticate with a passkey, and create the challenges for `static/js/passkey.js`."""

from typing import Any

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from accounts import passkeys
from accounts.authenticators import PASSKEY
from accounts.errors import PasskeyRefused, WrongSecondFactor
from accounts.mfa import SecondStep, pending_step
from accounts.models import User
from accounts.passkeys import Assertion
from accounts.recent import require_recent_sign_in, say_undone, time_of_sign_in
from accounts.second_factors import use_passkey
from accounts.throttles import passkey_attempt, throttle_challenges
from core.errors import DomainError, NotAuthenticated
from core.http import SeeOther, visitor
from web.requests.access import page, posted_from, signed_in, with_next
from web.user.account.security_forms import CredentialForm


@posted_from("account_login")
@never_cache
def options(request: HttpRequest) -> HttpResponse:
    """Return the options of a ceremony as JSON, with a challenge that this session stores."""
    try:
        throttle_challenges(visitor(request))
        return JsonResponse(_begin(request, request.POST.get("purpose", "")))
    except DomainError as error:
        return JsonResponse({"detail": error.translated}, status=error.status)


@posted_from("account_login")
@never_cache
@page
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in with only a passkey: it proves possession, and its device has verified the user."""
    if request.user.is_authenticated:
        return SeeOther(get_next_redirect_url(request) or settings.LOGIN_REDIRECT_URL)
    try:
        user = _use(request, passkeys.SIGN_IN)
    except (PasskeyRefused, NotAuthenticated):
        return _try_again(request, "account_login")
    record_authentication(request, user, "mfa", type="webauthn", passwordless=True)
    response: HttpResponse = perform_login(request, Login(user=user, redirect_url=get_next_redirect_url(request)))
    return response


@posted_from("account_reauthenticate")
@never_cache
@login_required
@page
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Accept one of the user's passkeys instead of the password as a recent sign-in, and redirect back with GET."""
    try:
        user = _use(request, passkeys.REAUTHENTICATE, signed_in(request))
    except (PasskeyRefused, NotAuthenticated):
        return _try_again(request, "account_reauthenticate")
    record_authentication(request, user, "mfa", type="webauthn", reauthenticated=True)
    say_undone(request)
    return SeeOther(get_next_redirect_url(request) or settings.LOGIN_REDIRECT_URL)


def use_for_second_step(request: HttpRequest, step: SecondStep) -> str:
    """Accept a passkey of the user who has entered the password, and return its type. Raises `WrongSecondFactor`."""
    try:
        _use(request, passkeys.SECOND_STEP, step.login.user)
    except PasskeyRefused as error:
        raise WrongSecondFactor(_("The passkey was not accepted. Try again.")) from error
    return str(PASSKEY)


def _use(request: HttpRequest, purpose: str, user: User | None = None) -> User:
    """Return the user whose passkey signed the challenge. Raises `PasskeyRefused`, `NotAuthenticated`, `Throttled`."""
    actor = visitor(request)
    with passkey_attempt(actor):
        return use_passkey(actor=actor, assertion=_assertion(request, purpose, user))


def _assertion(request: HttpRequest, purpose: str, user: User | None) -> Assertion:
    form = CredentialForm(request.POST)
    if not form.is_valid():
        raise PasskeyRefused
    return passkeys.complete_authentication(request.session, purpose, form.cleaned_data["credential"], user)


def _begin(request: HttpRequest, purpose: str) -> dict[str, Any]:
    user, session = request.user, request.session
    if purpose == passkeys.SIGN_IN and not user.is_authenticated:
        if session.is_empty():
            session.set_expiry(passkeys.LIFETIME_SECONDS)  # a visitor's session, and the visitor may be a bot
        return passkeys.begin_authentication(session, purpose)
    if purpose == passkeys.SECOND_STEP and (step := pending_step(request)):
        return passkeys.begin_authentication(session, purpose, step.login.user)
    if purpose == passkeys.REAUTHENTICATE and user.is_authenticated:
        return passkeys.begin_authentication(session, purpose, signed_in(request))
    if purpose == passkeys.ADD and user.is_authenticated:
        require_recent_sign_in(time_of_sign_in(request))
        return passkeys.begin_registration(session, signed_in(request))
    raise PasskeyRefused


def _try_again(request: HttpRequest, name: str) -> HttpResponse:
    messages.error(request, _("The passkey was not accepted. Try again, or use your password."))
    return SeeOther(with_next(name, get_next_redirect_url(request)))
