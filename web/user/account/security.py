"""Account > Security: passkeys, the authenticator app, recovery codes, and the way to the password.

Every change requires a recent sign-in, which is requested before the form. No POST is repeated after it
(`web.requests.access`).
"""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

from accounts import passkeys
from accounts.authenticators import own_passkey, second_factors_of
from accounts.errors import PasskeyRefused, WrongSecondFactor
from accounts.recent import require_recent_sign_in, time_of_sign_in
from accounts.second_factors import (
    add_passkey,
    add_totp,
    new_secret,
    remove_passkey,
    remove_totp,
    replace_recovery_codes,
)
from accounts.totp import setup_url
from core import clock
from core.crypto import SealBroken, open_sealed_text, seal_text
from core.errors import Conflict, Invalid
from core.http import SeeOther
from web.forms.fields import show_in
from web.requests import once
from web.requests.access import View, signed_in, user_actor, user_form, user_page
from web.user.account.security_forms import CodeForm, NewPasskeyForm

_SECRET, _PURPOSE, _CODES = "totp_secret", "web.totp_secret", "recovery-codes"
# How long the secret of a new app waits for its first code.
SETUP_SECONDS = 300


def change_page(view: View) -> View:
    """Require a signed-in user who has signed in recently."""

    def checked(request: HttpRequest, **kwargs: str) -> HttpResponseBase:
        require_recent_sign_in(time_of_sign_in(request))
        return view(request, **kwargs)

    return user_form(checked)


@user_page
def security(request: HttpRequest) -> HttpResponse:
    context = {"factors": second_factors_of(signed_in(request))}
    return render(request, "mfa/index.html", context)


@change_page
def new_passkey(request: HttpRequest) -> HttpResponse:
    form = NewPasskeyForm(request.POST or None)
    if form.is_valid():
        user, answer = signed_in(request), form.cleaned_data["credential"]
        try:
            credential = passkeys.complete_registration(request.session, user, answer)
            name = form.cleaned_data["name"]
            kept = request.session.session_key
            codes = add_passkey(actor=user_actor(request), user=user, name=name, credential=credential, kept_key=kept)
        except PasskeyRefused:
            form.add_error(None, _("No passkey was created. Try again."))
        except (Conflict, Invalid) as error:
            show_in(form, error)
        else:
            return _added(request, _("Passkey added."), codes)
    return render(request, "mfa/webauthn/add_form.html", {"form": form}, status=422 if form.is_bound else 200)


@change_page
def delete_passkey(request: HttpRequest, passkey_id: str) -> HttpResponse:
    user = signed_in(request)
    passkey = own_passkey(user, passkey_id)
    if request.method == "POST":
        remove_passkey(actor=user_actor(request), user=user, passkey_id=passkey_id)
        return _done(request, _("Passkey removed."))
    factors = second_factors_of(user)
    context = {
        "title": _("Remove this passkey?"),
        "confirm_label": _("Remove passkey"),
        "name": passkey.data["name"],
        "is_last": len(factors.passkeys) == 1 and factors.totp is None,
    }
    return _confirm(request, "mfa/webauthn/authenticator_confirm_delete.html", context)


@change_page
def new_totp(request: HttpRequest) -> HttpResponse:
    """Show a secret for an authenticator app, and set the app up once its code is correct."""
    user, form = signed_in(request), CodeForm(request.POST or None)
    secret, is_new = _kept_secret(request)
    if form.is_valid() and is_new:
        form.add_error("code", _("The earlier secret has expired. Scan this one."))
    elif form.is_valid():
        try:
            code = form.cleaned_data["code"]
            kept = request.session.session_key
            codes = add_totp(actor=user_actor(request), user=user, secret=secret, code=code, kept_key=kept)
        except WrongSecondFactor:
            form.add_error("code", _("This is not the current code. Check the clock of the device with the app."))
        else:
            del request.session[_SECRET]
            return _added(request, _("Authenticator app added."), codes)
    elif second_factors_of(user).totp:
        return SeeOther(reverse("web:security"))
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    context = {"form": form, "secret": " ".join(groups), "qr": qr_code(setup_url(secret, user.email))}
    return render(request, "mfa/totp/activate_form.html", context, status=422 if form.is_bound else 200)


@change_page
def delete_totp(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if request.method == "POST":
        remove_totp(actor=user_actor(request), user=user)
        return _done(request, _("Authenticator app removed."))
    factors = second_factors_of(user)
    context = {
        "title": _("Remove the authenticator app?"),
        "confirm_label": _("Remove app"),
        "is_last": not factors.passkeys,
    }
    return _confirm(request, "mfa/totp/deactivate_form.html", context)


@change_page
def new_codes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        codes = replace_recovery_codes(actor=user_actor(request), user=signed_in(request))
        return _done(request, _("The earlier recovery codes no longer work."), codes)
    context = {"title": _("Create new recovery codes?"), "confirm_label": _("Create new codes")}
    return _confirm(request, "mfa/recovery_codes/generate.html", context)


@user_page
def codes(request: HttpRequest) -> HttpResponse:
    """Show new recovery codes once."""
    kept = once.take(request, _codes_of(request))
    if kept is None:
        return SeeOther(reverse("web:security"))
    shown = json.loads(kept)
    text = "\r\n".join([_("Recovery codes for AgentGate"), "", *shown, ""])
    context = {"codes": shown, "file": f"data:text/plain;charset=utf-8,{quote(text)}"}
    return render(request, "mfa/recovery_codes/index.html", context)


def _codes_of(request: HttpRequest) -> str:
    return f"{_CODES}:{signed_in(request).id}"


def _added(request: HttpRequest, text: str, codes: list[str]) -> HttpResponse:
    """Say that a factor was added and, with codes, that it is the first one, which has ended other sessions."""
    return _done(request, f"{text} {_('All other sessions have ended.')}" if codes else text, codes)


def _done(request: HttpRequest, text: str, codes: list[str] | None = None) -> HttpResponse:
    messages.success(request, text)
    if not codes:
        return SeeOther(reverse("web:security"))
    once.put(request, _codes_of(request), json.dumps(codes))
    return SeeOther(reverse("web:recovery-codes"))


def _confirm(request: HttpRequest, template: str, context: Mapping[str, object]) -> HttpResponse:
    return render(request, template, {**context, "back_url": reverse("web:security")})


def _kept_secret(request: HttpRequest) -> tuple[str, bool]:
    """Return the secret that this session is setting up, and whether it is new. The session stores it encrypted.

    It belongs to this sign-in and expires after five minutes, so that a person who saw it earlier does not know what
    the user sets up now.
    """
    now, signed_in_at = clock.now(), time_of_sign_in(request)
    owner = [signed_in(request).id, signed_in_at.timestamp() if signed_in_at else None]
    try:
        secret, *kept, until = json.loads(open_sealed_text(_PURPOSE, request.session[_SECRET]))
    except (KeyError, SealBroken):
        kept, until = [], 0
    if kept == owner and now.timestamp() < until:
        return secret, False
    secret = new_secret()
    content = json.dumps([secret, *owner, now.timestamp() + SETUP_SECONDS])
    request.session[_SECRET] = seal_text(_PURPOSE, content)
    return secret, True


QUIET_ZONE = 4  # modules on each side (ISO/IEC 18004)


def qr_code(text: str) -> SafeString:
    """Return the QR code of `text` as an `<svg>` that CSS sizes."""
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make()
    rows = code.get_matrix()
    bars = "".join(_bars(number, row) for number, row in enumerate(rows))
    return format_html(
        '<svg class="qr" role="img" aria-label="{}" viewBox="0 0 {} {}"><path d="{}"/></svg>',
        _("QR image with the key for the app"),
        len(rows),
        len(rows),
        bars,
    )


def _bars(number: int, row: Sequence[bool]) -> str:
    """Return a rectangle for each run of dark modules."""
    found, start = "", 0
    for is_dark, run in groupby(row):
        length = len(list(run))
        found += f"M{start} {number}h{length}v1h-{length}z" if is_dark else ""
        start += length
    return found
