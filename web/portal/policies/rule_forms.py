"""A form for each rule type, generated from the type's JSON schema."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from policies.rules import RULES
from web.forms.fields import CODE_INPUT, DaysField, DurationField, LinesField, ObjectsField
from web.portal.policies.condition_forms import HELP, ConditionsField
from web.portal.policies.outlines import outline

# The codes of the errors of a field without a value, or with a part of one.
MISSING = ("required", "incomplete")
# The attributes of the inputs for amounts of money. `currencies` is a list on the page.
INPUTS: Mapping[str, dict[str, Any]] = {
    "maxAmount": {"inputmode": "decimal", "autocomplete": "off", "placeholder": "100.00"},
    "currency": {
        **CODE_INPUT,
        "list": "currencies",
        "maxlength": 3,
        "autocapitalize": "characters",
        "placeholder": "EUR",
    },
}
CODE = {"rows": 12, "spellcheck": "false", "autocapitalize": "off"}


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
        values = getattr(self, "cleaned_data", {})
        return outline(self.rule_type, [(name, field, values.get(name)) for name, field in self.fields.items()])

    def find_missing(self) -> list[Any]:
        """Return the labels of the required fields that have no value."""
        return [self.fields[name].label for name in self.fields if name in self.required and self._lacks(name)]

    def _lacks(self, name: str) -> bool:
        errors = self.errors.as_data().get(name, [])
        return any(one.code in MISSING for one in errors) or self.cleaned_data.get(name, "x") in (None, "", [])

    def raw_actions(self) -> dict[str, Any] | None:
        """Return a rule with only the actions of this one, in the API's format, or None if it has no actions."""
        actions = self.cleaned_data.get("actions")
        return {"type": "action_blocklist", "config": {"actions": actions}} if actions else None

    def _is_given(self, item: tuple[str, Any]) -> bool:
        name, value = item
        return value not in (None, "") and (value != [] or name in self.required)


def rule_titles() -> list[tuple[str, Any]]:
    """Return each rule type with its title."""
    return [(name, _(rule.title)) for name, rule in RULES.items()]


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
        "initial": schema.get("default"),
    }
    if name in INPUTS:
        return forms.CharField(required=is_required, widget=forms.TextInput(attrs=INPUTS[name]), **words)
    match schema.get("x-unit"):
        case "seconds":
            return DurationField(required=is_required, **words)
        case "conditions":
            return ConditionsField(required=is_required, **{**words, "help_text": HELP})
        case "weekdays":
            return DaysField(required=False, **{**words, "help_text": ""})
        case "clock":
            return forms.CharField(required=is_required, widget=forms.TextInput(attrs={"type": "time"}), **words)
        case "text":
            return forms.CharField(required=is_required, widget=forms.Textarea(attrs=CODE), **words)
        case "time zone":
            return forms.CharField(required=is_required, widget=forms.TextInput(attrs={"list": "time-zones"}), **words)
    return _make_plain_field(schema, is_required=is_required, words=words)


def _make_plain_field(schema: dict[str, Any], *, is_required: bool, words: dict[str, Any]) -> forms.Field:
    """Return the field for the type in the schema."""
    if "enum" in schema:
        names = schema.get("x-enumDescriptions", {})
        choices = [(value, _(names.get(value, value))) for value in schema["enum"]]
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
