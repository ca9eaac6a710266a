"""The forms of the account's pages."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.text import nearest
from core.zones import match_zone, zone_names
from web.forms.fields import PlainField


class ZoneField(forms.CharField):
    """The name of a time zone or its city. The value is the IANA name, and blank means the browser's zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"})
        super().__init__(**{"max_length": 64, "widget": widget, "required": False, **options})

    @property
    def suggestions(self) -> tuple[str, ...]:
        """The zones to choose from. Reading their names takes a while, so the first page does it, not the start-up."""
        return zone_names()

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        found = match_zone(text) if text else ""
        if found is None:
            raise forms.ValidationError(_unknown(text))
        return found


class ProfileForm(forms.Form):
    name = PlainField(
        label=gettext_lazy("Name"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("How pages and emails address you. Agents never see it."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    time_zone = ZoneField(
        label=gettext_lazy("Time zone"),
        help_text=gettext_lazy(
            "Pages and emails show times in this zone. Type a city or a region to search. Leave it blank to use the "
            "zone of each browser; emails then use UTC."
        ),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=[("", gettext_lazy("The language of each browser")), *settings.LANGUAGES],
        required=False,
        help_text=gettext_lazy("Pages and emails are in this language. Without a choice, emails are in English."),
    )


class MailsForm(forms.Form):
    approval_mails = forms.BooleanField(
        label=gettext_lazy("An agent waits for your approval"),
        help_text=gettext_lazy("Without your decision in time, its request is denied."),
        required=False,
    )
    grant_mails = forms.BooleanField(
        label=gettext_lazy("An agent may do something new"),
        help_text=gettext_lazy("A request was allowed in your account, or a connection now allows more than before."),
        required=False,
    )
    device_mails = forms.BooleanField(
        label=gettext_lazy("A sign-in with a new browser or program"),
        help_text=gettext_lazy("It is the first sign-in to your account with this browser or program."),
        required=False,
    )


def _unknown(text: str) -> str:
    cities = {name.rpartition("/")[2].replace("_", " "): name for name in zone_names()}
    found = nearest(text, [*cities, *zone_names()]) or ""
    guess = cities.get(found, found)
    if not guess:
        return _("There is no such time zone. Choose one from the list, such as Europe/Berlin.")
    return _("There is no such time zone. Did you mean %(zone)s?") % {"zone": guess}
