"""What a user stops when they report an entry of their history."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from consent.disputes import Stop

AGENT = [
    (Stop.AGENT, _("Pause this agent. It can do nothing for you until you resume it.")),
    (Stop.CONNECTION, _("Revoke its access. It must ask you again for everything.")),
]
ALL_AGENTS = (Stop.ALL_AGENTS, _("Pause all agents, including those that you allow later."))
NOTHING = (Stop.NOTHING, _("Stop no agent."))


class DisputeForm(forms.Form):
    """The agent's choices are missing if its connection has ended. An entry of the account preselects the sessions."""

    stop = forms.ChoiceField(label=_("Which agent to stop"), widget=forms.RadioSelect)
    sessions = forms.BooleanField(label=_("Sign me out everywhere else."), required=False)

    def __init__(self, *args: Any, has_connection: bool, is_agents: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [*(AGENT if has_connection else ()), ALL_AGENTS, NOTHING]
        self.fields["stop"].choices = choices  # type: ignore[attr-defined]
        self.fields["stop"].initial = choices[0][0] if has_connection else Stop.NOTHING
        self.fields["sessions"].initial = not is_agents

    @property
    def chosen_stop(self) -> Stop:
        return Stop(self.cleaned_data["stop"])
