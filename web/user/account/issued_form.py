"""The date since which credentials are listed and ended."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core import clock
from core.formats import date_of
from web.forms.moments import start_of_day

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
    """A date. Without one in the URL, it is `DAYS` ago."""

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
