"""The second step of a sign-in with the password: a code, a recovery code or a passkey."""

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.authenticators import PASSKEY, TOTP, kinds_of
from accounts.errors import WrongSecondFactor
from accounts.mfa import SecondStep, pending_step
from accounts.second_factors import check_code
from core.errors import NotAuthenticated, Throttled
from core.http import visitor
from web.forms.fields import show_in
from web.public.entrance.passkeys import use_for_second_step
from web.public.entrance.waiting import waiting_agent
from web.requests.access import page, with_next
from web.user.account.security_forms import CodeForm


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@page
def second_step(request: HttpRequest) -> HttpResponse:
    """Accept the second factor. If no sign-in waits for it, redirect to the sign-in page."""
    step = pending_step(request)
    if step is None:
        return _start_again(request)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if "credential" not in request.POST and not form.is_valid():
        return _show(request, step, form)
    try:
        kind = _check(request, step, form)
    except (WrongSecondFactor, Throttled) as error:
        form.errors.clear()  # a passkey comes without a code
        show_in(form, error)
        return _show(request, step, form)
    except NotAuthenticated:
        return _start_again(request)
    record_authentication(request, step.login.user, "mfa", type=kind)
    response: HttpResponse = step.exit()
    return response


def _check(request: HttpRequest, step: SecondStep, form: CodeForm) -> str:
    if "credential" in request.POST:
        return use_for_second_step(request, step)
    return check_code(actor=visitor(request), user=step.login.user, code=form.cleaned_data["code"])


def _show(request: HttpRequest, step: SecondStep, form: CodeForm) -> HttpResponse:
    kinds, wanted = kinds_of(step.login.user), step.login.redirect_url
    context = {
        "form": form,
        "has_app": TOTP in kinds,
        "has_passkey": PASSKEY in kinds,
        "wanted": wanted,
        "login_url": with_next("account_login", wanted),
        "waiting": waiting_agent(request, wanted),
    }
    return render(request, "mfa/authenticate.html", context, status=422 if form.is_bound else 200)


def _start_again(request: HttpRequest) -> HttpResponse:
    """Redirect to the sign-in page, and keep the page that the user wanted."""
    return redirect(with_next("account_login", get_next_redirect_url(request)))
