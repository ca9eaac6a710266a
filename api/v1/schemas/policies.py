"""Request and response models for policies."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.v1.schemas.base import Description, Line, Moment, Omittable, Out, RequestBody, Text
from core.validation import invalid_value
from policies.models import Policy
from policies.rules import RULES
from policies.rules.parsing import MAX_RULES

MAX_NAME, MAX_AGENT_ID = 200, 255


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a JSON schema without titles, and with references resolved: they would not work in another document."""
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


def rule_schema(name: str, *, without: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of a rule of this type, whose configuration can be without a field."""
    rule = RULES[name]
    config = rule.model_json_schema()
    config = _inline(config, config.pop("$defs", {}))
    if without is not None:
        config["properties"] = {key: value for key, value in config["properties"].items() if key != without}
    return {
        "type": "object",
        "description": (rule.__doc__ or "").strip(),
        "properties": {"type": {"type": "string", "enum": [rule.type]}, "config": config},
        "required": ["type", "config"],
        "additionalProperties": False,
    }


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise invalid_value("Must be a list of rules.")
    return value


# A list of `{"type", "config"}`. `policies.rules` validates it.
Rules = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MAX_RULES,
            "items": {"oneOf": [rule_schema(name) for name in sorted(RULES)]},
        }
    ),
]
GivenRules = Annotated[Rules, BeforeValidator(_refuse_null)]
Name = Annotated[Line, Field(max_length=MAX_NAME)]
# A policy in the mode `shadow` decides nothing. It records which allowed requests it would have denied or asked for.
Mode = Literal["enforce", "shadow"]
AgentId = Annotated[Text, Field(max_length=MAX_AGENT_ID)]


class NewPolicyBody(RequestBody):
    """A policy to create. Without `agentId`, it applies to all agents."""

    name: Name
    description: Description = ""
    agent_id: AgentId | None = None
    enabled: bool = True
    mode: Mode = "enforce"
    rules: GivenRules


class UpdatePolicyBody(RequestBody):
    """Changes to a policy. Omitted fields keep their values. `rules` replaces all rules."""

    name: Omittable[Name] = None
    description: Omittable[Description] = None
    agent_id: AgentId | None = None
    enabled: Omittable[bool] = None
    mode: Omittable[Mode] = None
    rules: GivenRules = None


class PolicyOut(Out):
    """Rules that a request must all pass. They apply to one of the organization's agents.

    Without `agentId`, they apply to all its agents and to every agent that calls its resource servers.
    """

    id: str
    name: str
    description: str
    agent_id: str | None
    enabled: bool
    mode: Mode
    rules: Rules
    created_at: Moment
    updated_at: Moment


def show_policies(policies: Sequence[Policy]) -> list[PolicyOut]:
    return [PolicyOut.model_validate(policy) for policy in policies]
