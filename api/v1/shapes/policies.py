"""Policies, as they come in and go out."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.strict import Flag, Line, Moment, StrictSerializer, Text
from policies.rules import RULES, Rule
from policies.rules.parsing import MAX_RULES

MAX_NAME, MAX_DESCRIPTION = 200, 500


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a JSON schema without titles and without references, which lead nowhere inside another document."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    merged = {**definitions.get(name, {}), **{key: value for key, value in schema.items() if key != "$ref"}}
    return {
        key: _inline(value, definitions)
        for key, value in merged.items()
        if not (key == "title" and isinstance(value, str))
    }


def _rule_schema(rule: type[Rule]) -> dict[str, Any]:
    config = rule.model_json_schema()
    config = _inline(config, config.pop("$defs", {}))
    return {
        "type": "object",
        "description": (rule.__doc__ or "").strip(),
        "properties": {"type": {"type": "string", "enum": [rule.type]}, "config": config},
        "required": ["type", "config"],
        "additionalProperties": False,
    }


@extend_schema_field(
    {"type": "array", "maxItems": MAX_RULES, "items": {"oneOf": [_rule_schema(RULES[name]) for name in sorted(RULES)]}}
)
class Rules(serializers.Field):
    """A list of `{"type", "config"}`; the rules themselves say what is wrong with them."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class PolicyChanges(StrictSerializer):
    """What of a policy can be changed; what is left out stays. `rules` replaces all rules."""

    name = Line(max_length=MAX_NAME)
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True)
    agentId = Text(max_length=255, allow_null=True)
    enabled = Flag()
    rules = Rules()

    def validate_description(self, value: str | None) -> str:
        return value or ""


class NewPolicy(PolicyChanges):
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True, default="")
    agentId = Text(max_length=255, allow_null=True, default=None)
    enabled = Flag(default=True)


class Policy(serializers.Serializer):
    """Rules that must all hold, for one of the organization's agents or, without `agentId`, for every one of them and
    for every agent that calls its resource servers.
    """

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    agentId = serializers.CharField(source="agent_id", allow_null=True)
    enabled = serializers.BooleanField()
    rules = Rules()
    createdAt = Moment(source="created_at")
    updatedAt = Moment(source="updated_at")
