"""Users erase their own account and data."""

from typing import Any

from django import forms
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.erasure import erase_user
from accounts.forms import EmailField
from accounts.models import User
from accounts.recent import require_recent_sign_in, time_of_sign_in
from consent.selectors import live_consents_for_user
from core import clock
from core.http import SeeOther
from developers.selectors import organizations_without_successor
from web.requests.access import signed_in, user_actor, user_form

MAX_NAMED = 20


class ErasureForm(forms.Form):
    email = EmailField(label=gettext_lazy("Type your email address to confirm"))

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        # If the browser filled in the field, the confirmation would be worthless.
        self.fields["email"].widget.attrs["autocomplete"] = "off"

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email != self.expected:
            raise forms.ValidationError(_("This is not the primary address of your account."))
        return email


@user_form
def erase(request: HttpRequest) -> HttpResponse:
    """Explain the erasure, and erase the account once the user types its address. Requires a recent sign-in."""
    user = signed_in(request)
    require_recent_sign_in(time_of_sign_in(request))
    form = ErasureForm(request.POST or None, expected=user.email)
    if request.method == "POST" and form.is_valid():
        erase_user(actor=user_actor(request), user=user)
        logout(request)
        return SeeOther(reverse("web:erased"))
    status = 422 if request.method == "POST" else 200
    return render(request, "web/user/account/erase.html", _context(user, form), status=status)


@require_safe
def erased(request: HttpRequest) -> HttpResponse:
    """Say that the account is erased. A signed-in user has not come from the erasure."""
    if request.user.is_authenticated:
        return redirect("web:account")
    return render(request, "web/user/account/erased.html")


def _context(user: User, form: ErasureForm) -> dict[str, object]:
    live = live_consents_for_user(user, clock.now()).order_by("agent__name")
    names = list(live.values_list("agent__name", flat=True))
    return {
        "form": form,
        "title": _("Erase your account and data?"),
        "confirm_label": _("Erase my account and data"),
        "back_url": reverse("web:own-data"),
        "agents": names[:MAX_NAMED],
        "unnamed": len(names[MAX_NAMED:]),
        "organizations": organizations_without_successor(user),
    }
