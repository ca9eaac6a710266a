"""The search of an agent's users. It is in the URL, so a view can be bookmarked and shared."""

from django import forms
from django.utils.translation import gettext_lazy as _

from web.forms.fields import PlainField

STATES = (("", _("Any")), ("live", _("Allowed")), ("ended", _("Ended")))


class AgentUsersForm(forms.Form):
    user = PlainField(
        label=_("User ID"),
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
    state = forms.ChoiceField(
        label=_("Access"), choices=STATES, required=False, widget=forms.Select(attrs={"data-auto": True})
    )

    def wanted(self) -> dict[str, str]:
        """Return the filters of `grants_of_agent`, without what is invalid."""
        self.is_valid()
        return {"user_id": self.cleaned_data.get("user", ""), "state": self.cleaned_data.get("state", "")}
