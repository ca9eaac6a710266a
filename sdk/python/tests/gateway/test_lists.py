"""Lists show what the connection allows, and say how to get more."""

from __future__ import annotations

import json

import pytest
from fastmcp.exceptions import ToolError
from gateways import FakeGate, Served, gateway, message, post

from agentgate_oauth.gateway.files import Files


async def test_what_is_not_allowed_is_hidden_and_said(gate: FakeGate, served: Served) -> None:
    gate.scopes["ada.agent"] = ("notes:write",)
    async with served.client() as client, served.client("bob.agent") as bob:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert set(tools) == {"write_note", "request_access"}
        assert await client.list_resources() == await client.list_resource_templates() == []
        assert await client.list_prompts() == []
        for text in ("read_note (notes:read)", "pay (shop:pay)", "summarize (notes:read)"):
            assert text in str(tools["request_access"].description)
        assert "write_note" not in str(tools["request_access"].description)
        # Another user's list is not affected, and one who may do everything is offered nothing more.
        assert {tool.name for tool in await bob.list_tools()} == {"read_note", "write_note", "pay"}


async def test_lists_are_cached_for_one_user_only_and_reads_are_not(served: Served) -> None:
    for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
        result = (await post(served, message(method), **{"Mcp-Method": method})).json()["result"]
        assert (result["cacheScope"], result["ttlMs"]) == ("private", 5000)
    headers = {"Mcp-Method": "resources/read", "Mcp-Name": "notes://index"}
    read = (await post(served, message("resources/read", uri="notes://index"), **headers)).json()["result"]
    assert (read.get("ttlMs") or 0) == 0


async def test_a_request_for_access_is_answered_by_the_token(gate: FakeGate, served: Served) -> None:
    gate.scopes["ada.agent"] = ("notes:read", "shop:pay")
    async with served.client() as client:
        for wrong in ({}, {"tools": []}, {"tools": ["secret_tool"]}, {"tools": "pay"}, {"tools": [{}]}):
            with pytest.raises(ToolError, match="must be a list"):
                await client.call_tool("request_access", wrong)
        heard = await client.call_tool("request_access", {"tools": ["pay", "notes://index"]})
        assert "Allowed now: pay, notes://index" in heard.content[0].text  # type: ignore[union-attr]
    assert gate.verified == []


async def test_the_tool_that_asks_for_more_takes_no_name(
    files: Files, gate: FakeGate, served_notes: object
) -> None:
    text = files.config.read_text().replace("read_note:", "request_access:")
    files.config.write_text(text)
    lock = json.loads(files.lock.read_text())
    tools = lock["upstreams"]["notes"]["tools"]
    tools["request_access"] = {**tools.pop("read_note"), "name": "request_access"}
    files.lock.write_text(json.dumps(lock))
    gate.scopes["ada.agent"] = ("notes:read",)
    async with gateway(files, gate) as served, served.client() as client:
        assert {tool.name for tool in await client.list_tools()} == {
            "request_access",
            "gateway_request_access",
        }
