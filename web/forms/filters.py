"""Filters for the audit log. They are in the URL, so a filtered view can be bookmarked and shared."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from audit.events import Outcome
from audit.selectors import Filters
from web.forms.agent_field import AgentField
from web.local import local_zone

OUTCOMES = [
    ("", _("Any")),
    (Outcome.ALLOWED, _("Allowed")),
    (Outcome.DENIED, _("Denied")),
    (Outcome.INFO, _("Recorded")),
]


class FilterForm(forms.Form):
    agent = AgentField(label=_("Agent"), placeholder=_("Name or ID"))
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, agents: QuerySet[Agent], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].agents = agents  # type: ignore[attr-defined]

    def filters(self) -> Filters:
        """Return the filters. An invalid field is not applied, and the page shows its error."""
        self.is_valid()
        data = self.cleaned_data
        return Filters(
            agent_id=data["agent"].id if data.get("agent") else None,
            outcome=data.get("outcome") or None,
            since=_midnight(data.get("since")),
            until=_midnight(data.get("until"), days=1),
        )


def _midnight(value: Any, *, days: int = 0) -> datetime | None:
    """Return the start of the user's day, `days` later. Return None without a day, or if it is out of range."""
    if value is None:
        return None
    try:
        return datetime.combine(value + timedelta(days=days), time(), local_zone()).astimezone(UTC)
    except OverflowError:
        return None
