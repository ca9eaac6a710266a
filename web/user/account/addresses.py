"""The user's email addresses: verify, add, remove, and choose the primary one."""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.codes import code_attempt
from accounts.forms import EmailField
from accounts.recent import require_recent_sign_in, time_of_sign_in
from accounts.selectors import addresses_of
from accounts.throttles import throttle_registration
from accounts.verification import confirm_address, make_address_primary, remove_address, send_address_code
from core.errors import Conflict, DomainError, Invalid, Throttled
from core.http import SeeOther
from web.forms.fields import show_in
from web.public.entrance.sign_up import CodeForm
from web.requests.access import signed_in, user_actor, user_form

_CONFIRMING = "confirming_address"


class AddressForm(forms.Form):
    email = EmailField()


@user_form
def addresses(request: HttpRequest) -> HttpResponse:
    """Show the addresses. Every change requires a recent sign-in."""
    form = AddressForm(request.POST or None)
    if request.method != "POST":
        return _show(request, AddressForm())
    require_recent_sign_in(time_of_sign_in(request))
    if form.is_valid():
        try:
            return _change(request, form.cleaned_data["email"])
        except (Conflict, Invalid, Throttled) as error:
            show_in(form, error)
    return _show(request, form)


@user_form
def confirm(request: HttpRequest) -> HttpResponse:
    """Accept the code for the address that this browser session is confirming."""
    waiting: dict[str, str] | None = request.session.get(_CONFIRMING)
    if waiting is None:
        return redirect("account_email")
    form = CodeForm(request.POST or None)
    if form.is_valid():
        try:
            _confirm(request, waiting["email"], form.cleaned_data["code"])
        except DomainError as error:
            show_in(form, error)
        else:
            del request.session[_CONFIRMING]
            messages.success(request, _("%(email)s is confirmed.") % {"email": waiting["email"]})
            return SeeOther(waiting["next"] or reverse("account_email"))
    context = {"form": form, "email": waiting["email"]}
    return render(request, "account/email_code.html", context, status=422 if form.is_bound else 200)


def _change(request: HttpRequest, email: str) -> HttpResponse:
    actor, user = user_actor(request), signed_in(request)
    if "action_remove" in request.POST:
        remove_address(actor=actor, user=user, email=email)
        messages.success(request, _("%(email)s was removed.") % {"email": email})
    elif "action_primary" in request.POST:
        make_address_primary(actor=actor, user=user, email=email)
        messages.success(request, _("%(email)s is now your primary address.") % {"email": email})
    else:
        throttle_registration(actor)
        send_address_code(actor=actor, user=user, email=email)
        request.session[_CONFIRMING] = {"email": email, "next": get_next_redirect_url(request) or ""}
        return SeeOther(reverse("account_confirm_email"))
    return SeeOther(reverse("account_email"))


def _confirm(request: HttpRequest, email: str, code: str) -> None:
    with code_attempt(user_actor(request)):
        confirm_address(actor=user_actor(request), user=signed_in(request), email=email, code=code)


def _show(request: HttpRequest, form: AddressForm) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "next": get_next_redirect_url(request) or ""}
    context["addresses"] = addresses_of(signed_in(request))
    return render(request, "account/email.html", context, status=422 if form.is_bound else 200)
