"""What to stop when a user reports an entry of their history."""

from datetime import date, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from consent.disputes import Stop
from web.user.account.issued import date_field, moment_of

AGENT = [
    (Stop.AGENT, _("Pause this agent. It can do nothing for you until you resume it.")),
    (Stop.CONNECTION, _("Revoke its access. It must ask you again for everything.")),
]
ALL_AGENTS = (Stop.ALL_AGENTS, _("Pause all agents, including those that you allow later."))
NOTHING = (Stop.NOTHING, _("Stop no agent."))


class DisputeForm(forms.Form):
    """Without a live connection, the agent's choices are left out. Entries about the account preselect the sessions."""

    stop = forms.ChoiceField(label=_("Which agent to stop"), widget=forms.RadioSelect)
    sessions = forms.BooleanField(label=_("Sign me out everywhere else."), required=False)
    credentials = forms.BooleanField(
        label=_(
            "End the API keys, secrets, redirect URIs and invitations created with my account since the date below."
        ),
        required=False,
    )
    since = date_field(_("Made on or after"), required=False)

    def __init__(
        self, *args: Any, has_connection: bool, is_agents: bool, is_developer: bool, day: date, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["since"].initial = day
        if not is_developer:
            del self.fields["credentials"], self.fields["since"]
        choices = [*(AGENT if has_connection else ()), ALL_AGENTS, NOTHING]
        self.fields["stop"].choices = choices  # type: ignore[attr-defined]
        self.fields["stop"].initial = choices[0][0] if has_connection else Stop.NOTHING
        self.fields["sessions"].initial = not is_agents

    def clean(self) -> dict[str, Any]:
        """Require a date for ending credentials."""
        day = self.cleaned_data.get("since")
        if self.cleaned_data.get("credentials") and (day is None or moment_of(day) is None):
            self.add_error("since", _("Enter a date."))
        return self.cleaned_data

    @property
    def issued_since(self) -> datetime | None:
        """The moment since which created credentials are ended. None to end none."""
        return moment_of(self.cleaned_data["since"]) if self.cleaned_data.get("credentials") else None

    @property
    def chosen_stop(self) -> Stop:
        return Stop(self.cleaned_data["stop"])
