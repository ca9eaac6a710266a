"""What an incomplete rule says so far, with gaps for what is missing."""

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from web.forms.fields import UNITS, DaysField, DurationField, DurationWidget

GAP = "…"
LISTED = 3
# By rule type. A type without an outline only lists what is missing.
OUTLINES = {
    "rate_limit": gettext_lazy("At most %(maxRequests)s requests per %(windowSeconds)s, %(scope)s"),
    "spend_limit": gettext_lazy("At most %(maxAmount)s %(currency)s per %(windowSeconds)s, %(scope)s"),
    "time_window": gettext_lazy("Only on %(allowedDays)s from %(startTimeUtc)s to %(endTimeUtc)s (%(timezone)s)"),
    "ip_allowlist": gettext_lazy("Only from %(cidrs)s"),
    "action_allowlist": gettext_lazy("Only %(actions)s"),
    "action_blocklist": gettext_lazy("Never %(actions)s"),
    "data_flow": gettext_lazy("If data of the user and of others was read in the last %(windowSeconds)s: %(then)s"),
    "context_match": gettext_lazy("Only if %(conditions)s"),
    "cedar": gettext_lazy("Only what the Cedar policy permits: %(policy)s"),
}


def outline(rule_type: str, fields: Sequence[tuple[str, forms.Field, Any]]) -> str:
    """Return the rule in words as far as its `fields` have values: name, field, and value."""
    template = OUTLINES.get(rule_type)
    return str(template) % {name: _in_words(field, value) for name, field, value in fields} if template else ""


def _in_words(field: forms.Field, value: Any) -> str:
    if value in (None, "", []):
        return GAP
    if isinstance(field, DurationField):
        return _duration(value)
    if isinstance(field, DaysField | forms.ChoiceField):
        labels = {str(key): str(label) for key, label in cast("list[Any]", field.choices)}
        words = [labels.get(str(one), str(one)) for one in (value if isinstance(value, list) else [value])]
        return ", ".join(words) if isinstance(value, list) else words[0].lower()
    if isinstance(value, list):
        return ", ".join(map(str, value[:LISTED])) + (f" {_('and more')}" if len(value) > LISTED else "")
    return str(value)


def _duration(seconds: int) -> str:
    number, size = DurationWidget().decompress(seconds)
    unit = str(dict(UNITS)[size])
    return f"{number} {unit}" if number > 1 else unit.removesuffix("s")
