"""The filters of the user's own history, which are in the URL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

from babel import dates
from django import forms
from django.utils.translation import gettext_lazy

from core.text import plain_text
from web.forms.agent_field import OwnAgentField
from web.forms.filters import FilterForm
from web.ledger.kinds import KINDS
from web.ledger.search import Wanted
from web.local import local_locale

KIND_LABELS = [
    ("", gettext_lazy("Everything")),
    ("actions", gettext_lazy("What agents did")),
    ("decisions", gettext_lazy("My decisions")),
    ("account", gettext_lazy("My account")),
    ("audit", gettext_lazy("Grants and sign-ins")),
]
MAX_SEARCH_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter. `query` is the query of the page without it."""

    label: str
    value: str
    query: str


class ActivityForm(FilterForm):
    q = forms.CharField(
        label=gettext_lazy("Permission or service"),
        required=False,
        max_length=MAX_SEARCH_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    agent = OwnAgentField(label=gettext_lazy("Agent"), placeholder=gettext_lazy("Name or ID"))
    kind = forms.ChoiceField(choices=KIND_LABELS, required=False, widget=forms.HiddenInput)

    field_order = ("q", "agent", "outcome", "since", "until", "kind")

    def wanted(self) -> Wanted:
        """Return what to show. An invalid field is not applied, and the page shows its error."""
        filters = self.filters()
        kind = self.cleaned_data.get("kind")
        words = plain_text(self.cleaned_data.get("q", "")).lower().split()
        return Wanted(replace(filters, events=KINDS[kind]) if kind else filters, words)

    @property
    def chosen_kind(self) -> str:
        """The kind of entries to show. Empty for all."""
        self.is_valid()
        return str(self.cleaned_data.get("kind", ""))

    @property
    def agent_names(self) -> dict[str, str]:
        """The names of the user's agents by id."""
        return cast("OwnAgentField", self.fields["agent"]).names

    def query(self, **changes: str) -> str:
        """Return the valid filters as a query, with some of them changed, without the empty ones."""
        return urlencode({name: value for name, value in {**self._sent(), **changes}.items() if value})

    def chips(self) -> Iterator[Chip]:
        """Yield the active filters. The kind has links of its own."""
        for name in self._sent():
            if name != "kind":
                yield Chip(str(self.fields[name].label), self._value(name), self.query(**{name: ""}))

    def _sent(self) -> dict[str, str]:
        self.is_valid()
        valid = (name for name in self.fields if self.cleaned_data.get(name))
        return {name: self.data.get(name, "") for name in valid}

    def _value(self, name: str) -> str:
        value: Any = self.cleaned_data[name]
        if name == "agent":
            return plain_text(value.name)
        if name == "outcome":
            return str(dict(self.fields["outcome"].choices)[value])  # type: ignore[attr-defined]
        return value if isinstance(value, str) else str(dates.format_date(value, "medium", local_locale()))
