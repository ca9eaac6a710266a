"""What is not decided is not offered: every other way to a tool, a resource or a prompt is closed."""

from __future__ import annotations

from typing import Any

import pytest
from fastmcp.exceptions import ToolError
from gateways import MODERN, FakeGate, Notes, Served, gateway, message, post
from mcp.shared.exceptions import MCPError

from agentgate_oauth.gateway import config, lock
from agentgate_oauth.gateway.catalogue import Catalogue
from agentgate_oauth.gateway.files import Files


async def test_a_tool_without_a_line_is_unknown(gate: FakeGate, notes: Notes, served: Served) -> None:
    async with served.client() as client:
        for name in ("secret_tool", "__0123456789ab_read_note", "notes_read_note", "", "x" * 10_000):
            with pytest.raises(ToolError, match="Unknown tool"):
                await client.call_tool(name, {})
    assert (gate.verified, notes.called) == ([], [])


async def test_a_resource_without_a_line_is_not_read(gate: FakeGate, notes: Notes, served: Served) -> None:
    uris = (
        "notes://hidden",
        "notes://note/a/b",
        "notes://note/..%2Fhidden",
        "notes://note/%252e%252e",
        "notes://note/a%5Cb",
        "notes://index/",
        "ui://prefab/tool/0123456789ab/renderer.html",
    )
    async with served.client() as client:
        for uri in uris:
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        with pytest.raises(MCPError, match="more than 2,000 characters"):
            await client.read_resource("notes://note/".ljust(2001, "-"))
    assert (gate.verified, notes.called) == ([], [])


def test_a_pinned_template_that_takes_long_to_match_is_not_served(files: Files) -> None:
    gateway, pinned = config.load(files.config), lock.load(files.lock)["notes"]
    slow = pinned.with_one("templates", "notes://note/{a}-{b}", {"name": "slow"})
    assert {*Catalogue(gateway, {"notes": slow}).templates} == {"notes://note/{name}"}


async def test_a_read_of_a_template_is_decided_by_its_uri(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    async with served.client() as client:
        (read,) = await client.read_resource("notes://note/caf%C3%A9")
    (asked,) = gate.verified
    assert asked["context"]["target"] == asked["resource"] == "notes://note/caf%C3%A9"
    assert notes.called == [("note", "café")]
    assert read.text == "note café"


async def test_a_prompt_is_decided(gate: FakeGate, served: Served) -> None:
    gate.denies.add("notes:read")
    async with served.client() as client:
        with pytest.raises(MCPError, match="policy_denied"):
            await client.get_prompt("summarize", {"name": "a"})
    assert [asked["resource"] for asked in gate.verified] == ["summarize"]


async def test_methods_that_are_not_decided_are_not_offered(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    prompt = {"ref": {"type": "ref/prompt", "name": "summarize"}, "argument": {"name": "name", "value": ""}}
    methods: dict[str, dict[str, Any]] = {
        "completion/complete": prompt,
        "resources/subscribe": {"uri": "notes://index"},
        "subscriptions/listen": {"notifications": {}},
        "tasks/get": {"taskId": "1"},
        "tasks/list": {},
        "skills/list": {},
        "sampling/createMessage": {"messages": [], "maxTokens": 1},
    }
    for method, params in methods.items():
        answer = await post(served, message(method, **params), **{"Mcp-Method": method})
        assert answer.json()["error"]["code"] in (-32601, -32602, -32020, -32021), answer.text
    assert (gate.verified, notes.called) == ([], [])


async def test_a_call_as_a_task_is_decided_like_any_other(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    gate.denies.add("notes:write")
    arguments = {"name": "a", "text": "b"}
    call = message("tools/call", name="write_note", arguments=arguments, task={"ttl": 1000})
    headers = {"Mcp-Method": "tools/call", "Mcp-Name": "write_note"}
    answer = (await post(served, call, **headers)).json()
    assert answer["result"]["isError"] is True
    assert (len(gate.verified), notes.called) == (1, [])


async def test_a_batch_is_refused(gate: FakeGate, notes: Notes, served: Served) -> None:
    call = message("tools/call", name="read_note", arguments={"name": "a"})
    for headers in (MODERN, {**MODERN, "MCP-Protocol-Version": "2025-03-26"}):
        answer = await post(served, [call, call], **headers)
        assert answer.status_code == 400, answer.text
    assert (gate.verified, notes.called) == ([], [])


async def test_only_what_the_pinned_schema_names_is_forwarded(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    async with served.client() as client:
        with pytest.raises(ToolError, match="no argument 'more'"):
            await client.call_tool("read_note", {"name": "a", "more": 1})
    lone = message("tools/call", name="read_note", arguments={"name": "a\ud800"})
    answer = await post(served, lone, **{"Mcp-Method": "tools/call", "Mcp-Name": "read_note"})
    assert "no canonical JSON" in answer.text
    assert (gate.verified, notes.called) == ([], [])


async def test_a_line_without_a_pinned_definition_exposes_nothing(
    files: Files, gate: FakeGate, notes: Notes
) -> None:
    pinned = lock.load(files.lock)["notes"]
    lock.save(files.lock, {"notes": pinned.with_one("tools", "read_note", None)})
    async with gateway(files, gate) as served, served.client() as client:
        assert "read_note" not in {tool.name for tool in await client.list_tools()}
        with pytest.raises(ToolError, match="Unknown tool"):
            await client.call_tool("read_note", {"name": "a"})
    assert (gate.verified, notes.called) == ([], [])


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_what_an_approval_does_not_cover_is_not_forwarded(
    notes: Notes, served: Served, mode: str
) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    protocol = "io.modelcontextprotocol/"
    meta: dict[str, Any] = {
        "account": "mallory",
        # FastMCP's servers let it choose another version of a tool than the pinned one.
        "fastmcp": {"version": "9"},
        f"{protocol}account": "mallory",
        f"{protocol}related-task": {"taskId": "mallory"},
        "traceparent": traceparent,
        "tracestate": {"to": "mallory"},
    }
    async with served.client(mode=mode) as client:
        await client.call_tool("write_note", {"name": "a", "text": "b"}, meta=meta)
        assert notes.meta["traceparent"] == traceparent
        assert "mallory" not in str(notes.meta)
        meta = {"traceparent": {"to": "mallory"}, "tracestate": "x" * 513}
        if mode == "legacy":  # else mcp refuses it
            meta[f"{protocol}logLevel"] = ["mallory"]
        await client.call_tool("write_note", {"name": "a", "text": "b"}, meta=meta)
        assert "mallory" not in str(notes.meta)
        assert "tracestate" not in notes.meta


@pytest.mark.parametrize(
    "name, is_covered",
    [
        ("question", True),
        ("agentgate:apr_1", True),  # by an upstream that has a guard itself
        ("agentgate-gateway:apr_1", False),
        ("agentgate-gateway:PayEve", False),
    ],
)
async def test_an_approval_covers_what_the_upstream_is_answered(
    gate: FakeGate, notes: Notes, served: Served, name: str, is_covered: bool
) -> None:
    answers = {name: {"action": "accept", "_meta": {"to": "eve"}}}
    arguments = {"name": "a", "text": "b"}
    call = message("tools/call", name="write_note", arguments=arguments, inputResponses=answers)
    await post(served, call, **{"Mcp-Method": "tools/call", "Mcp-Name": "write_note"})
    assert ("input" in gate.verified[0]["context"]) is is_covered
    assert set(notes.answers) == ({name} if is_covered else set())


@pytest.mark.parametrize("name", [[1] * 60_000, [[[0] * 300] * 300], {str(n): n for n in range(60_000)}])
async def test_a_call_that_takes_long_to_canonicalize_is_refused(
    gate: FakeGate, served: Served, name: Any
) -> None:
    async with served.client() as client:
        with pytest.raises(ToolError, match="more than 50,000 values"):
            await client.call_tool("read_note", {"name": name})
    assert gate.verified == []


async def test_long_answers_to_the_upstream_are_refused_too(gate: FakeGate, served: Served) -> None:
    answer = {"action": "accept", "content": {"a": ["b"] * 60_000}}
    call = message(
        "tools/call", name="read_note", arguments={"name": "a"}, inputResponses={"question": answer}
    )
    answered = await post(served, call, **{"Mcp-Method": "tools/call", "Mcp-Name": "read_note"})
    assert "more than 50,000 values" in answered.text
    assert gate.verified == []
