"""The developer credentials that were created with the user's account and outlive its sessions, and how to end them."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agents.issued import end_issued, issued_since
from core import clock
from core.formats import date_of
from core.http import SeeOther
from developers.selectors import memberships_of
from web.forms.moments import start_of_day
from web.requests.access import signed_in, user_actor, user_form

DAYS = 30


def date_field(label: Any, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}), **options)


def moment_of(day: date) -> datetime | None:
    """Return the start of the user's day. None if it is out of range."""
    try:
        return start_of_day(day, 0)
    except OverflowError:
        return None


class SinceForm(forms.Form):
    """The date since which credentials are listed and ended. Without one in the URL, it is `DAYS` ago."""

    since = date_field(_("Made on or after"))

    def __init__(self, data: Any) -> None:
        super().__init__(data if data and "since" in data else {"since": date_of(clock.now() - timedelta(days=DAYS))})

    def clean_since(self) -> date:
        day: date = self.cleaned_data["since"]
        if moment_of(day) is None:
            raise forms.ValidationError(self.fields["since"].error_messages["invalid"], code="invalid")
        return day

    @property
    def moment(self) -> datetime:
        """The start of the day. Use it only if the form is valid."""
        return start_of_day(self.cleaned_data["since"], 0)


@user_form
def issued(request: HttpRequest) -> HttpResponse:
    """List what was created since a date, by default 30 days ago. POST ends all of it."""
    user = signed_in(request)
    is_developer = memberships_of(user).exists()
    form = SinceForm(request.POST if request.method == "POST" else request.GET)
    is_valid = form.is_valid()
    if request.method == "POST" and is_valid and is_developer:
        ended = end_issued(actor=user_actor(request), user=user, since=form.moment)
        text = ngettext("%(number)s credential ended.", "%(number)s credentials ended.", ended)
        messages.success(request, text % {"number": ended})
        return SeeOther(f"{reverse('web:issued')}?since={form.cleaned_data['since']:%Y-%m-%d}")
    context = {
        "form": form,
        "is_developer": is_developer,
        "issued": issued_since(user, form.moment) if is_developer and is_valid else None,
        "since": form.moment if is_valid else None,
    }
    return render(request, "web/user/account/issued.html", context, status=200 if is_valid else 422)
