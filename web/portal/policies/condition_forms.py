"""The conditions of `context_match` as rows: a field, an operator and a value."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from policies.rules.conditions import LISTS, Operator
from policies.rules.context_match import MAX_CONDITIONS

# One more than a rule can have, so that the error is shown. The page never offers this row.
MAX_ROWS = MAX_CONDITIONS + 1
KEY = re.compile(r"(\d{1,3})-(?:field|operator|value)")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
BOOLEANS = {"true": True, "false": False}
# The fields that services report most often.
KNOWN_FIELDS = (
    "resource",
    "recipient",
    "recipients.address",
    "target",
    "amount.value",
    "amount.currency",
    "task",
)

OPERATORS: Mapping[str, Any] = {
    "equals": gettext_lazy("is"),
    "not_equals": gettext_lazy("is not"),
    "in": gettext_lazy("is one of"),
    "not_in": gettext_lazy("is none of"),
    "starts_with": gettext_lazy("starts with"),
    "ends_with": gettext_lazy("ends with"),
    "glob": gettext_lazy("matches the pattern"),
    "matches_any": gettext_lazy("matches one of the patterns"),
    "at_most": gettext_lazy("is at most"),
    "at_least": gettext_lazy("is at least"),
    "exists": gettext_lazy("is given"),
}
HELP = gettext_lazy(
    "All conditions must hold. A list has one value per line. Numbers, true and false are read as such: "
    'put them in "quotes" to mean text.'
)
if OPERATORS.keys() != {*get_args(Operator)}:
    raise TypeError("Each operator needs a label.")


class ConditionsWidget(forms.Widget):
    """Rows of inputs, with an empty row at the end if another condition is allowed.

    Rows with neither a field nor a value are left out.
    """

    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, Any]]:
        """Return the conditions in the API's format, including incomplete rows, so that their errors are shown."""
        numbers = {int(match[1]) for key in data if (match := KEY.fullmatch(key.removeprefix(f"{name}-")))}
        rows = [self._row(data, f"{name}-{number}") for number in sorted(numbers)[:MAX_ROWS]]
        return [read_condition(*row) for row in rows if row[0] or row[2]]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-0-field" not in data

    def id_for_label(self, id_: str, index: Any = None) -> str:
        """Return an empty string: the label is the legend of all rows."""
        return ""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        given = list(map(show_condition, value or ()))
        is_full = len(given) >= MAX_CONDITIONS
        rows = given if is_full else [*given, ("", "equals", "")]
        context = {
            "name": name,
            "id": (attrs or {}).get("id", name),
            "rows": [dict(zip(("field", "operator", "value"), row, strict=True)) for row in rows],
            "operators": OPERATORS.items(),
            "known": OPERATORS,
            "most": MAX_CONDITIONS if is_full else None,
        }
        return render_to_string("web/portal/policies/parts/conditions.html", context)

    @staticmethod
    def _row(data: Any, prefix: str) -> tuple[str, str, str]:
        field, operator = (str(data.get(f"{prefix}-{part}") or "") for part in ("field", "operator"))
        return field.strip(), operator, str(data.get(f"{prefix}-value") or "")


class ConditionsField(forms.Field):
    """A list of conditions. `policies.rules` checks them."""

    widget = ConditionsWidget

    def clean(self, value: Any) -> Any:
        return super().clean(value) or []


def read_condition(field: str, operator: str, text: str) -> dict[str, Any]:
    """Return the condition that a user typed, in the API's format."""
    values = [read_value(line.strip()) for line in text.splitlines() if line.strip()]
    condition: dict[str, Any] = {"field": field, "operator": operator}
    if operator in LISTS:
        condition["values"] = values
    elif values:
        condition["value"] = values[0] if len(values) == 1 else text.strip()
    return condition


def show_condition(condition: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the fields that `read_condition` turns into this condition."""
    given = condition.get("values") or ([condition["value"]] if "value" in condition else [])
    values = given if isinstance(given, list | tuple) else [given]
    return (
        str(condition.get("field", "")),
        str(condition.get("operator", "")),
        "\n".join(map(show_value, values)),
    )


def read_value(text: str) -> Any:
    """Return a whole number, true or false if the text is one. Otherwise return the text without surrounding quotes."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return text[1:-1] if _is_quoted(text) else text


def show_value(value: Any) -> str:
    """Return the text that `read_value` turns into this value."""
    if type(value) is bool:
        return str(value).lower()
    text = str(value)
    return f'"{text}"' if type(value) is str and (_is_quoted(text) or type(read_value(text)) is not str) else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] == '"'
