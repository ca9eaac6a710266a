"""Filters for the log, kept in the URL so that a filtered view can be bookmarked and shared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext_lazy as _

from audit.events import Outcome
from core.formats import exactly
from web.forms.moments import PeriodField

OUTCOMES = [
    ("", _("Any")),
    (Outcome.ALLOWED, _("Allowed")),
    (Outcome.DENIED, _("Denied")),
    (Outcome.INFO, _("Recorded")),
]


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter. `query` is the page's query without it."""

    label: str
    value: str
    query: str


class FilterForm(forms.Form):
    """Optional filters. The query and the chips leave out an invalid one, and the page shows its error."""

    def query(self, **changes: str) -> str:
        """Return the valid filters as a query, with these changes and without empty ones."""
        return urlencode({name: value for name, value in {**self._sent(), **changes}.items() if value})

    def chips(self) -> Iterator[Chip]:
        """Yield the active filters, except hidden ones."""
        for name in self._sent():
            if not self[name].is_hidden:
                yield Chip(str(self.fields[name].label), self._words(name), self.query(**{name: ""}))

    def _valid(self, name: str) -> Any:
        """Return the value of a field, or None if it is empty or invalid."""
        self.is_valid()
        return self.cleaned_data.get(name) or None

    def _sent(self) -> dict[str, str]:
        """Return the valid filters as the user sent them."""
        return {name: self.data[name] for name in self.fields if self._valid(name)}

    def _words(self, name: str) -> str:
        """Return the text of a valid field's chip."""
        field, value = self.fields[name], self._valid(name)
        if isinstance(field, PeriodField):
            return exactly(value) if field.is_moment(self.data[name]) else str(self.data[name]).strip()
        return str(_flat(field.choices)[value] if isinstance(field, forms.ChoiceField) else value)


def _flat(choices: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value, label in choices:
        found |= dict(label) if isinstance(label, list | tuple) else {value: label}
    return found
