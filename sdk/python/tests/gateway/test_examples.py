"""Example calls, as `check` tries them against the lines."""

from __future__ import annotations

from typing import Any

import pytest

from agentgate_oauth.gateway.config import Context, ToolLine, Upstream
from agentgate_oauth.gateway.examples import refused_examples

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
MONEY = {"amount": {"argument": "pay.amount", "currency": {"argument": "pay.currency"}}}
PATH = {"target": {"arguments": ["path"], "as": "path"}}


def refused(
    context: dict[str, Any], properties: dict[str, Any], root: str | None = "/notes", **more: Any
) -> list[str]:
    line = ToolLine(scope="a:b", risk="low", context=Context.model_validate(context))
    defined = {"Path": {"enum": ["/else"]}}
    schema = {"type": "object", "properties": properties, "$defs": defined, **more}
    upstream = Upstream(command=["server"], root=root)
    return [text for _, text in refused_examples("tool", line, {"inputSchema": schema}, upstream)]


@pytest.mark.parametrize(
    "context, properties, said",
    [
        (PATH, {"path": TEXT}, None),
        (PATH, {"path": {"anyOf": [{"type": "array", "items": TEXT}, {"type": "null"}]}}, None),
        (PATH, {"path": {**TEXT, "default": "~/notes"}}, "is not plain"),
        (PATH, {"path": {**TEXT, "examples": ["/else/a.txt"], "default": "a"}}, "must be in /notes"),
        (PATH, {"path": {"$ref": "#/$defs/Path"}}, "must be in /notes"),
        (MONEY, {"pay": {"properties": {"amount": NUMBER, "currency": TEXT}}}, None),
        (MONEY, {"pay": {"properties": {"amount": NUMBER, "currency": {"enum": ["euro"]}}}}, "three letters"),
        (MONEY, {"pay": {"properties": {"amount": {"default": "much"}, "currency": TEXT}}}, "an amount"),
    ],
)
def test_the_values_of_a_schema_are_tried(
    context: dict[str, Any], properties: dict[str, Any], said: str | None
) -> None:
    found = refused(context, properties)
    assert [said is not None and said in one for one in found] == ([True] if said else []), found


def test_a_program_without_a_root_is_tried_with_an_absolute_path_and_a_server_with_a_relative_one() -> None:
    assert refused(PATH, {"path": TEXT}, None) == ["The path must be relative."]
    line = ToolLine(scope="a:b", risk="low", context=Context.model_validate(PATH))
    definition = {"inputSchema": {"properties": {"path": TEXT}}}
    assert not [*refused_examples("tool", line, definition, Upstream(url="https://notes.example/mcp"))]


def test_examples_of_the_whole_schema_are_tried() -> None:
    found = refused(PATH, {"path": TEXT}, examples=[{"path": "a"}, {"path": "/x"}, {"other": 1}, "no"])
    assert found == ["The path must be in /notes.", "The tool has no argument 'other'. Leave it out."]
