"""One verify per call, and nothing reaches the upstream that was not allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastmcp.exceptions import ToolError
from gateways import FakeGate, Notes, Served


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_call_is_one_verify(gate: FakeGate, notes: Notes, served: Served, mode: str) -> None:
    async with served.client(mode=mode) as client:
        result = await client.call_tool("read_note", {"name": "a"})
    assert result.data == {"note": "text of a"}
    (asked,) = gate.verified
    assert asked["requiredScopes"] == ["notes:read"]
    assert asked["resource"] == "read_note"
    assert "action" not in asked
    context: dict[str, Any] = asked["context"]
    assert (context["target"], context["labels"], context["ip"]) == ("a", ["private"], "127.0.0.1")
    assert len(context["arguments"]) == len(context["definition"]) == 64
    assert notes.called == [("read_note", "a")]


async def test_a_denied_call_says_why_and_goes_nowhere(gate: FakeGate, notes: Notes, served: Served) -> None:
    gate.denies.add("notes:read")
    async with served.client() as client:
        with pytest.raises(ToolError) as raised:
            await client.call_tool("read_note", {"name": "a"})
    assert json.loads(str(raised.value))["reason"] == "policy_denied"
    assert notes.called == []
