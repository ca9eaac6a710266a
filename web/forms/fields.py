"""Form fields for values that the API takes as lists or as a number of seconds."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from core.text import plain_text
from web.forms.context_field import parse_json
from web.portal.policies.condition_forms import ConditionsField

SUNDAY = 7
MAX_DIGITS = 9
# The attributes of an input for an id or an address, which is not a text in the user's language.
CODE_INPUT = {"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off", "translate": "no"}
LINES_INPUT = {"spellcheck": "false", "autocapitalize": "off"}
UNITS = ((1, _("seconds")), (60, _("minutes")), (3600, _("hours")), (86400, _("days")))


class PlainField(forms.CharField):
    """Text cleaned by `plain_text`. A value with only invisible characters counts as empty."""

    def to_python(self, value: Any) -> str:
        return plain_text(super().to_python(value))


class IdSelect(forms.Select):
    """A select of ids, which are not translated."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"] |= {"translate": "no"} if value else {}
        return option


class LinesField(forms.CharField):
    """Text with one item per line. The value is the list of non-empty lines."""

    widget = forms.Textarea(attrs={**LINES_INPUT, "rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class ObjectsField(forms.JSONField):
    """A list of objects as JSON text. The value is the list, or empty text."""

    widget = forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocapitalize": "off"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(encoder=partial(json.JSONEncoder, indent=2, ensure_ascii=False), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return the text to show. Keep what a user typed unchanged."""
        return value if isinstance(value, str) else super().prepare_value(list(value) if value else [])

    def to_python(self, value: Any) -> Any:
        return parse_json(value) if value and isinstance(value, str) else super().to_python(value)


class DaysField(forms.TypedMultipleChoiceField):
    """Days of the week as in ISO 8601: 1 is Monday, 7 is Sunday. A stored 0 also means Sunday."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        days = [(number + 1, name) for number, name in WEEKDAYS.items()]
        super().__init__(choices=days, coerce=int, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return [SUNDAY if day == 0 else day for day in value] if value else value


class DurationWidget(forms.MultiWidget):
    def __init__(self) -> None:
        number = forms.NumberInput(attrs={"min": 1, "aria-label": _("Number"), "inputmode": "numeric"})
        super().__init__({"count": number, "unit": forms.Select(attrs={"aria-label": _("Unit")}, choices=UNITS)})

    def decompress(self, value: Any) -> list[Any]:
        """Return the number and the largest unit that divides it. An empty field starts with hours."""
        if not value:
            return [None, 3600]
        unit = max(size for size, _name in UNITS if value % size == 0)
        return [value // unit, unit]


class DurationField(forms.MultiValueField):
    """A number and a unit. The value is in whole seconds."""

    def __init__(self, **kwargs: Any) -> None:
        parts = (forms.IntegerField(min_value=1), forms.TypedChoiceField(choices=UNITS, coerce=int))
        super().__init__(parts, widget=DurationWidget(), **kwargs)

    def compress(self, data_list: list[Any]) -> int | None:
        return data_list[0] * data_list[1] if data_list and data_list[0] else None


def as_typed(form: forms.Form, data: QueryDict) -> dict[str, Any]:
    """Return what the user has typed so far, as initial values for a form that is not validated yet."""
    return {
        name: field.widget.value_from_datadict(data, {}, form.add_prefix(name)) for name, field in form.fields.items()
    }


def read_whole(text: str) -> int | None:
    """Return the number, or None if the text is not 1 to 9 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


# Fields whose entries the user can count.
LISTS = (LinesField, ObjectsField, ConditionsField)


def show_in(form: forms.Form, error: DomainError, places: Mapping[str, str] | None = None) -> None:
    """Add each of the error's messages to its field, or to the whole form if it has no such field.

    `places` maps names in the error to fields of the form with other names. "" is the error as a whole.
    """
    for one in error.errors:
        show_at(form, one.field.split("."), one.translated, places)
    if not error.errors:
        show_at(form, [""], error.translated, places)


def show_at(form: forms.Form, path: Sequence[str], message: str, places: Mapping[str, str] | None = None) -> None:
    """Add a message to the field that the path begins with, as `show_in` does."""
    name = (places or {}).get(path[0], path[0])
    field = form.fields.get(name)
    form.add_error(name if field else None, at_entry(path, message) if isinstance(field, LISTS) else message)


def at_entry(path: Sequence[str], message: str) -> str:
    """Return the message, prefixed with the list entry if the path leads to one, such as `actions.2`."""
    if len(path) > 2 and path[1].isdecimal():
        words = {"number": int(path[1]) + 1, "field": ".".join(path[2:]), "message": message}
        return _("Item %(number)d, %(field)s: %(message)s") % words
    if len(path) > 1 and path[1].isdecimal():
        return _("Line %(number)d: %(message)s") % {"number": int(path[1]) + 1, "message": message}
    return message
