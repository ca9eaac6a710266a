"""For the operator: shadow, health, logs without secrets, turns, and stopping without losing a call."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import httpx
import pytest
from fastmcp.exceptions import ToolError
from gateways import FakeGate, Notes, Served, gateway, until
from mcp.shared.exceptions import MCPError

from agentgate_oauth.gateway.callers import Denied
from agentgate_oauth.gateway.config import ConfigError
from agentgate_oauth.gateway.files import Files
from agentgate_oauth.gateway.logs import JsonFormatter
from agentgate_oauth.gateway.running import Running, address_of
from agentgate_oauth.gateway.turns import MAX_WAITING, Turns
from agentgate_oauth.gateway.upstreams import UpstreamFailed, Upstreams


@pytest.fixture
def log() -> Any:
    """What the gateway logs, as lines of JSON."""
    stream, logger = io.StringIO(), logging.getLogger("agentgate_oauth")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.setLevel(level)
    logger.removeHandler(handler)


async def test_a_shadow_blocks_nothing_and_says_what_it_would(
    files: Files, gate: FakeGate, notes: Notes, log: Any
) -> None:
    gate.denies.add("notes:read")
    gate.asks.add("notes:write")
    gate.scopes["ada.agent"] = ("notes:read", "notes:write")
    async with gateway(files, gate, is_shadow=True) as served:
        async with served.client() as client:
            assert len(await client.list_tools()) == 3
            await client.call_tool("read_note", {"name": "a"})
            await client.call_tool("write_note", {"name": "a", "text": "b"})
            await client.call_tool("pay", {"to": "b", "amount": "1"})
            with pytest.raises(ToolError):  # the upstream's own error, about an amount that is none
                await client.call_tool("pay", {"to": "b", "amount": "x", "fails": "tool"})
            gate.is_down = True
            await client.call_tool("read_note", {"name": "b"})
            with pytest.raises(ToolError, match="Unknown tool"):
                await client.call_tool("secret_tool", {})
        gate.is_down = False
        answer = await _post(served, "none")
        assert answer.status_code == 401
    said = [line["shadow"] for line in log() if line["event"] == "call"]
    assert said == [
        "policy_denied",
        "approval_required",
        "insufficient_scope",
        "arguments_refused",
        "gate_unreachable",
    ]
    assert [name for name, _ in notes.called] == ["read_note", "write_note", "pay", "pay", "read_note"]


async def test_a_call_is_one_line_without_what_it_contains(
    gate: FakeGate, served: Served, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.client("ada.agent.s3cr3t") as client:
        await client.call_tool("read_note", {"name": "top secret"})
        gate.denies.add("notes:write")
        with pytest.raises(ToolError):
            await client.call_tool("write_note", {"name": "top secret", "text": "x"})
    lines = [line for line in log() if line["event"] == "call"]
    assert [(line["name"], line["outcome"], line.get("reason")) for line in lines] == [
        ("read_note", "allowed", None),
        ("write_note", "denied", "policy_denied"),
    ]
    assert [line["decision"] for line in lines] == ["log_1", "log_2"]
    assert all(line["milliseconds"] > 0 for line in lines)
    text = json.dumps(log())
    assert "top secret" not in text and "s3cr3t" not in text


async def test_health_says_what_the_gateway_can_do(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient() as http:

        async def health() -> tuple[int, Any]:
            answer = await http.get(f"{served.url}/health")
            return answer.status_code, answer.json()

        status, facts = await health()
        assert (status, facts["gate"], facts["upstreams"]) == (
            200,
            "ok",
            {"notes": {"status": "ok", "sessions": 0}},
        )
        await asyncio.gather(*(health() for _ in range(20)))
        assert gate.introspected == ["health"]
        gate.is_down = True
        assert (await health())[0] == 200  # asked every 5 seconds
        monkeypatch.setattr("agentgate_oauth.gateway.running.HEALTH_SECONDS", 0)
        status, facts = await health()
        assert (status, facts["gate"]) == (503, "ConnectionFailedError")
        gate.is_down = False
        served.running.decisions.state.failed.add("notes")
        status, facts = await health()
        assert (status, facts["upstreams"]["notes"]["status"]) == (503, "failed")


async def test_an_upstream_that_fails_and_starts_again_is_seen(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def fail(*_: object) -> None:
        raise UpstreamFailed("notes", "could not be reached", sent=False)

    state = served.running.decisions.state
    async with served.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(Upstreams, "_take", fail)
            with pytest.raises(ToolError, match="could not be reached"):
                await client.call_tool("read_note", {"name": "a"})
        assert state.failed == {"notes"}
        await client.call_tool("read_note", {"name": "a"})
        assert state.failed == set()


async def test_a_stop_waits_for_calls_and_takes_no_more(notes: Notes, served: Served) -> None:
    notes.blocker.clear()
    async with served.client() as client, served.client("bob.agent") as bob:
        call = asyncio.create_task(client.call_tool("write_note", {"name": "a", "text": "b"}))
        await until(lambda: notes.called)
        draining = asyncio.create_task(served.bounds.drain(5))
        await asyncio.sleep(0)
        with pytest.raises(MCPError):
            await bob.call_tool("read_note", {"name": "a"})
        assert not draining.done()
        notes.blocker.set()
        assert (await call).data == "written: a"
        assert await draining is True


async def test_users_take_turns() -> None:
    turns, order = Turns(4), list[str]()
    release = asyncio.Event()

    async def call(user: str) -> None:
        async with turns.of(user):
            order.append(user)
            await release.wait()

    calls = [asyncio.create_task(call("ada")) for _ in range(6)]
    calls += [asyncio.create_task(call("bob")) for _ in range(3)]
    await asyncio.sleep(0)
    assert order == ["ada", "ada", "bob", "bob"]
    calls += [asyncio.create_task(call("eve"))]
    calls[2].cancel()
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert (order.count("ada"), order.count("bob"), order.count("eve")) == (5, 3, 1)
    assert order.index("eve") <= 7
    assert (turns._free, dict(turns._running), dict(turns._waiting)) == (4, {}, {})
    release.clear()
    waiting = [asyncio.create_task(call("ada")) for _ in range(MAX_WAITING + 2)]
    await asyncio.sleep(0)
    with pytest.raises(Denied, match="busy"):
        await call("ada")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_a_credential_that_others_can_read_is_refused(files: Files) -> None:
    files.credential.chmod(0o644)
    with pytest.raises(ConfigError, match="gateway.credential"):
        Running(files)


def test_the_address_is_the_identifiers() -> None:
    assert address_of("http://127.0.0.1:9000/mcp") == ("127.0.0.1", 9000)
    with pytest.raises(ConfigError, match="--listen"):
        address_of("https://mcp.example/mcp")


async def _post(served: Served, token: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{served.url}/mcp", headers={"Authorization": f"Bearer {token}"})
