"""What the analytics show, as the URL states it."""

from django import forms
from django.utils.translation import gettext_lazy as _

from web.forms.agent_field import AgentField, AgentFieldForm
from web.portal.analytics.breakdown import AGENT, GROUPINGS, OUTCOME
from web.portal.analytics.periods import PERIODS, find_period
from web.portal.analytics.report import Choice


class AnalyticsForm(AgentFieldForm):
    agent = AgentField(label=_("Agent"), placeholder=_("All agents"))
    period = forms.ChoiceField(
        choices=[(one.name, one.label) for one in PERIODS], required=False, widget=forms.HiddenInput
    )
    by = forms.ChoiceField(
        choices=[(one.name, one.label) for one in GROUPINGS], required=False, widget=forms.HiddenInput
    )
    show = forms.ChoiceField(choices=[("all", "all")], required=False, widget=forms.HiddenInput)

    def choice(self) -> Choice:
        """Return what to show. An invalid field is not applied, and the page shows its error."""
        self.is_valid()
        data = self.cleaned_data
        agent = data.get("agent")
        if agent:  # so that the field also shows the name
            self.data = {**dict(self.data.items()), "agent": self.fields["agent"].prepare_value(agent)}
        by = next((one for one in GROUPINGS if one.name == data.get("by")), OUTCOME)
        return Choice(
            period=find_period(data.get("period", "")),
            # The decisions of one agent cannot be grouped by agent.
            by=OUTCOME if agent and by is AGENT else by,
            agent_id=agent.id if agent else "",
            lists_all=bool(data.get("show")),
        )
