"""Filters of the log. They live in the URL, so that a view can be kept and shared."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from audit.events import Event, Outcome
from audit.selectors import Filters

OUTCOMES = [
    ("", _("Any")),
    (Outcome.ALLOWED, _("Allowed")),
    (Outcome.DENIED, _("Denied")),
    (Outcome.INFO, _("Neither")),
]


class FilterForm(forms.Form):
    agent = forms.ChoiceField(label=_("Agent"), required=False)
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, agents: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].choices = [("", _("Any")), *agents]  # type: ignore[attr-defined]

    def filters(self) -> Filters:
        """Return what to narrow to; a field that makes no sense is left open and named on the page."""
        self.full_clean()
        data = self.cleaned_data
        return Filters(
            agent_id=data.get("agent") or None,
            outcome=data.get("outcome") or None,
            event=data.get("event") or None,
            user_id=data.get("user") or None,
            since=_midnight(data.get("since")),
            until=_midnight(data.get("until"), days=1),
        )


class AuditFilterForm(FilterForm):
    event = forms.ChoiceField(
        label=_("Event"), choices=[("", _("Any")), *((event, event) for event in Event)], required=False
    )
    user = forms.CharField(label=_("User id"), required=False, max_length=64)


def _midnight(value: Any, *, days: int = 0) -> datetime | None:
    """Return the start of the day in UTC, `days` later. None for no day, or one beyond the calendar."""
    if value is None:
        return None
    try:
        return datetime.combine(value + timedelta(days=days), time(), UTC)
    except OverflowError:
        return None
