"""A form for each rule type, generated from the type's JSON schema."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from policies.rules import RULES
from web.forms.currencies import CurrencySelect, own_currency
from web.forms.fields import DaysField, DurationField, LinesField, ObjectsField
from web.portal.policies.condition_forms import HELP, ConditionsField
from web.portal.policies.outlines import outline

# The codes of the errors of a field without a value, or with a part of one.
MISSING = ("required", "incomplete")
AMOUNT = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "100.00"})
# The inputs for texts of a kind.
WIDGETS: Mapping[str, forms.Widget] = {
    "clock": forms.TextInput(attrs={"type": "time"}),
    "text": forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "autocapitalize": "off"}),
    "time zone": forms.TextInput(attrs={"list": "time-zones"}),
}
DAY = 86_400


# Rule types by what they look at, with an example each.
EXAMPLES: Sequence[tuple[Any, Mapping[str, Any]]] = (
    (
        _("What"),
        {
            "action_blocklist": _("No payments, no purchases"),
            "action_allowlist": _("The calendar, and nothing else"),
            "context_match": _("Recipients at example.com"),
            "data_flow": _("Private data does not leave"),
            "cedar": _("A program in Cedar"),
        },
    ),
    (
        _("How often or how much"),
        {
            "rate_limit": _("At most 10 emails per day"),
            "spend_limit": _("At most €100 per day"),
        },
    ),
    (
        _("When and where"),
        {
            "time_window": _("Monday to Friday, 09:00 to 17:00"),
            "ip_allowlist": _("From your own servers"),
        },
    ),
    (
        _("By which agents"),
        {
            "delegation": _("Only between your own agents"),
        },
    ),
)


class RuleForm(forms.Form):
    """One rule's configuration. The form collects it; `policies.rules` validates it."""

    rule_type: ClassVar[str]
    required: ClassVar[frozenset[str]]
    """The names of the fields that a rule must have. An empty list in another field is left out."""
    wording = ""
    problem = ""
    missing: Sequence[Any] = ()
    """The labels of the required fields without a value, of a rule that is otherwise valid."""
    is_new = False
    """Whether the rule was added just now, so that its first field gets the focus."""

    @property
    def number(self) -> str:
        """Return the rule's number in the names of its fields."""
        return str(self.prefix).removeprefix("rules-")

    @property
    def title(self) -> Any:
        return _(RULES[self.rule_type].title)

    def raw(self) -> dict[str, Any]:
        """Return the rule in the API's format."""
        return {"type": self.rule_type, "config": dict(filter(self._is_given, self.cleaned_data.items()))}

    @property
    def outline(self) -> str:
        """Return the rule in words with gaps for what is missing. Empty if its type has no outline."""
        return outline(self.rule_type, [(name, field, self._value(name)) for name, field in self.fields.items()])

    def find_missing(self) -> list[Any]:
        """Return the labels of the required fields that have no value."""
        return [self.fields[name].label for name in self.fields if name in self.required and self._lacks(name)]

    def _lacks(self, name: str) -> bool:
        errors = self.errors.as_data().get(name, [])
        return any(one.code in MISSING for one in errors) or self._value(name, "x") in (None, "", [])

    def _value(self, name: str, default: Any = None) -> Any:
        """Return the value of a field: what was sent or, in a rule just added, what the page starts with."""
        if not self.is_bound:
            return self.get_initial_for_field(self.fields[name], name)
        return getattr(self, "cleaned_data", {}).get(name, default)

    def raw_actions(self) -> dict[str, Any] | None:
        """Return a rule with only the actions of this one, in the API's format, or None if it has no actions."""
        actions = self.cleaned_data.get("actions")
        return {"type": "action_blocklist", "config": {"actions": actions}} if actions else None

    def _is_given(self, item: tuple[str, Any]) -> bool:
        name, value = item
        return value not in (None, "") and (value != [] or name in self.required)


class RuleKind(NamedTuple):
    """A rule type to choose. `example` is a sentence of such a rule, or empty."""

    name: str
    title: Any
    example: Any


def rule_kinds() -> list[tuple[Any, list[RuleKind]]]:
    """Return the rule types in groups. One that `EXAMPLES` does not have belongs to the first group."""
    (first, examples), *others = EXAMPLES
    listed = {name for _title, names in EXAMPLES for name in names}
    groups = [(first, {**examples, **dict.fromkeys(sorted(RULES.keys() - listed), "")}), *others]
    return [
        (title, [RuleKind(name, _(RULES[name].title), example) for name, example in names.items() if name in RULES])
        for title, names in groups
    ]


@lru_cache
def form_class(rule_type: str) -> type[RuleForm]:
    """Return the form of a registered rule type. Raises `KeyError` if the type is unknown."""
    schema = RULES[rule_type].model_json_schema()
    required = frozenset(schema.get("required", ()))
    fields: dict[str, Any] = {
        name: _make_field(name, {"title": name, **resolve(part, schema)}, is_required=name in required)
        for name, part in sorted(schema["properties"].items(), key=lambda item: item[0] == "actions")
    }
    return type("RuleForm", (RuleForm,), {**fields, "rule_type": rule_type, "required": required})


def resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property's schema, with references resolved and without the null of an optional field."""
    part = {**next((each for each in part.get("anyOf", ()) if each != {"type": "null"}), {}), **part}
    name = part.get("$ref", "").rpartition("/")[2]
    return {**schema["$defs"][name], **part} if name else part


def _make_field(name: str, schema: dict[str, Any], *, is_required: bool) -> forms.Field:
    """Return the field for a property, chosen by its name or its unit or, without one, by its type."""
    words: dict[str, Any] = {
        "label": _(schema["title"]),
        "help_text": _(schema["description"]) if "description" in schema else "",
        "initial": schema.get("default", DAY if is_required and schema.get("x-unit") == "seconds" else None),
    }
    match schema.get("x-unit", f"named {name}"):
        case "seconds":
            return DurationField(required=is_required, **words)
        case "conditions":
            return ConditionsField(required=is_required, **{**words, "help_text": HELP})
        case "weekdays":
            return DaysField(required=False, **{**words, "help_text": ""})
        case "named currency":
            words |= {"initial": own_currency, "help_text": ""}
            return forms.CharField(required=is_required, widget=CurrencySelect, **words)
        case "named maxAmount":
            return forms.CharField(required=is_required, widget=AMOUNT, **{**words, "help_text": ""})
        case kind if kind in WIDGETS:
            return forms.CharField(required=is_required, widget=WIDGETS[kind], **words)
    return _make_plain_field(schema, is_required=is_required, words=words)


def _make_plain_field(schema: dict[str, Any], *, is_required: bool, words: dict[str, Any]) -> forms.Field:
    """Return the field for the type in the schema."""
    if "enum" in schema:
        names = schema.get("x-enumDescriptions", {})
        choices = [(value, _(names.get(value, value))) for value in schema["enum"]]
        words["initial"] = words["initial"] or (schema["enum"][0] if is_required else None)
        return forms.ChoiceField(choices=choices, required=is_required, **words)
    if schema.get("type") == "array" and schema["items"].get("type") != "string":
        words["label"] = format_lazy(_("{items}, as JSON"), items=words["label"])
        return ObjectsField(required=False, **words)
    if schema.get("type") == "array":
        words["label"] = format_lazy(_("{items}, one per line"), items=words["label"])
        return LinesField(required=False, **words)
    if schema.get("type") == "boolean":
        return forms.BooleanField(required=False, **words)
    if schema.get("type") == "integer":
        return forms.IntegerField(
            min_value=schema.get("minimum"), max_value=schema.get("maximum"), required=is_required, **words
        )
    return forms.CharField(required=is_required, **words)
