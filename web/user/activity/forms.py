"""The filters of the user's own history, which are in the URL."""

from typing import Any, cast

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy, pgettext_lazy

from agents.models import Agent
from audit.selectors import Filters
from core.text import plain_text
from web.forms.agent_field import OwnAgentField
from web.forms.filters import OUTCOMES, FilterForm
from web.forms.moments import PeriodField
from web.user.activity.kinds import KINDS, ROUTINE
from web.user.activity.search import Wanted

KIND_LABELS = [
    ("", pgettext_lazy("activity", "All")),
    ("actions", gettext_lazy("Agents")),
    ("decisions", gettext_lazy("Decisions")),
    ("account", gettext_lazy("Account")),
]
MAX_SEARCH_LENGTH = 100


class ActivityForm(FilterForm):
    q = forms.CharField(
        label=gettext_lazy("Permission or service"),
        required=False,
        max_length=MAX_SEARCH_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    agent = OwnAgentField(label=gettext_lazy("Agent"), placeholder=gettext_lazy("Name or ID"))
    outcome = forms.ChoiceField(label=gettext_lazy("Outcome"), choices=OUTCOMES, required=False)
    since = PeriodField(label=gettext_lazy("From"))
    until = PeriodField(label=gettext_lazy("Until"), is_end=True)
    kind = forms.ChoiceField(choices=KIND_LABELS, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, agents: QuerySet[Agent], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._agent_field.agents = agents

    def wanted(self) -> Wanted:
        """Return what to show."""
        value = self._valid
        agent, kind = value("agent"), value("kind")
        filters = Filters(
            chain=agent.id if agent else None,
            events=KINDS[kind] if kind else None,
            outcome=value("outcome"),
            since=value("since"),
            until=value("until"),
        )
        hidden = frozenset[str]() if self._sent() else ROUTINE
        return Wanted(filters, plain_text(value("q")).lower().split(), hidden)

    @property
    def chosen_kind(self) -> str:
        """The kind of entries to show. Empty for all."""
        return self._valid("kind") or ""

    @property
    def agents_by_id(self) -> dict[str, Agent]:
        """The user's agents with their developers."""
        return {agent.id: agent for agent in self._agent_field.known}

    @property
    def chosen_agent(self) -> Agent | None:
        return self._valid("agent") or None

    @property
    def _agent_field(self) -> OwnAgentField:
        return cast("OwnAgentField", self.fields["agent"])

    def _words(self, name: str) -> str:
        value = self._valid(name)
        return plain_text(value.name) if isinstance(value, Agent) else super()._words(name)
