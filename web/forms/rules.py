"""A form for each rule type, made from the type's own schema: a new type gets one without a change here."""

from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from policies.rules import RULES
from web.forms.fields import DaysField, DurationField, LinesField

TITLES = {
    "rate_limit": _("A limit on how often"),
    "time_window": _("Only at certain hours"),
    "action_allowlist": _("Only these actions"),
    "action_blocklist": _("Never these actions"),
    "ip_allowlist": _("Only from these addresses"),
}
LABELS = {
    "maxRequests": _("Calls at most"),
    "windowSeconds": _("In any"),
    "scope": _("Counted for"),
    "allowedDays": _("Days"),
    "startTimeUtc": _("From"),
    "endTimeUtc": _("Until"),
    "timezone": _("Time zone"),
    "actions": _("Actions, one per line"),
    "cidrs": _("Address ranges, one per line"),
}
HELP = {
    "endTimeUtc": _("A time before the start means the next day."),
    "timezone": _("For example UTC or Europe/Berlin."),
    "actions": _("Scopes such as email:send; payments:* stands for all that begin with payments:"),
    "cidrs": _("For example 203.0.113.0/24 or 2001:db8::/32"),
}
CHOICE_WORDS = {
    "per_user": _("each person on their own"),
    "per_agent": _("each agent, all people together"),
    "global": _("all agents and people together"),
}


class RuleForm(forms.Form):
    """One rule's configuration. Whether it makes sense is for `policies.rules` to say, not for the form."""

    rule_type: ClassVar[str]
    wording = ""

    @property
    def number(self) -> str:
        """Return what stands for this rule in the names of its fields."""
        return str(self.prefix).removeprefix("rules-")

    @property
    def title(self) -> Any:
        return TITLES.get(self.rule_type, self.rule_type.replace("_", " ").capitalize())

    def raw(self) -> dict[str, Any]:
        """Return the rule as the API takes it."""
        config = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {"type": self.rule_type, "config": config}


def rule_titles() -> list[tuple[str, Any]]:
    """Return every rule type with its title."""
    return [(name, TITLES.get(name, name)) for name in RULES]


@lru_cache
def time_zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


@lru_cache
def form_class(rule_type: str) -> type[RuleForm]:
    """Return the form of a registered rule type. Raises `KeyError` for another."""
    schema = RULES[rule_type].model_json_schema()
    required = schema.get("required", ())
    fields: dict[str, Any] = {
        name: _make_field(name, _resolve(part, schema), is_required=name in required)
        for name, part in schema["properties"].items()
    }
    return type("RuleForm", (RuleForm,), {**fields, "rule_type": rule_type})


def _resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property's schema; a named type stands in it as a reference."""
    name = part.get("$ref", "").rpartition("/")[2]
    return {**schema["$defs"][name], **part} if name else part


def _make_field(name: str, schema: dict[str, Any], *, is_required: bool) -> forms.Field:
    words: dict[str, Any] = {
        "label": LABELS.get(name, name),
        "help_text": HELP.get(name, ""),
        "initial": schema.get("default"),
    }
    if name == "windowSeconds":
        return DurationField(required=is_required, **words)
    if name == "allowedDays":
        return DaysField(required=False, **words)
    if name in ("startTimeUtc", "endTimeUtc"):
        return forms.CharField(required=is_required, widget=forms.TextInput(attrs={"type": "time"}), **words)
    if name == "timezone":
        return forms.CharField(required=is_required, widget=forms.TextInput(attrs={"list": "time-zones"}), **words)
    return _make_plain_field(schema, is_required=is_required, words=words)


def _make_plain_field(schema: dict[str, Any], *, is_required: bool, words: dict[str, Any]) -> forms.Field:
    """Return a field by the type in the schema alone."""
    if "enum" in schema:
        choices = [(value, CHOICE_WORDS.get(value, value)) for value in schema["enum"]]
        return forms.ChoiceField(choices=choices, required=is_required, **words)
    if schema.get("type") == "array":
        return LinesField(required=False, **words)
    if schema.get("type") == "integer":
        return forms.IntegerField(
            min_value=schema.get("minimum"), max_value=schema.get("maximum"), required=is_required, **words
        )
    return forms.CharField(required=is_required, **words)
