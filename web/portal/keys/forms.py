"""The form for a new API key."""

from django import forms
from django.utils.translation import gettext_lazy as _

from web.forms.fields import PlainField

DAY = 86_400
LIFETIMES = (
    ("", _("Never")),
    (30 * DAY, _("After 30 days")),
    (90 * DAY, _("After 90 days")),
    (365 * DAY, _("After one year")),
)


class ApiKeyForm(forms.Form):
    name = PlainField(
        label=_("Name"), max_length=100, help_text=_("Where it is used, such as “deployment” or “laptop”.")
    )
    lifetime_seconds = forms.TypedChoiceField(
        label=_("Expires"), choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )
