"""A gateway in its own process, with a real AgentGate, a real MCP server and real clients."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.environment import Servers
from tests.live.gate import Developer, Gate, Person, expect
from tests.live.gateway.served import GatewayProcess, gateway_process
from tests.live.oauth.test_mcp_clients import McpClient


def connect(gateway: GatewayProcess, token: str, mode: str = "auto", **options: Any) -> Any:
    from fastmcp import Client

    return Client(gateway.url, auth=token, mode=mode, **options)


async def until(condition: Any) -> Any:
    """Wait until something is the case, for at most 10 seconds, and return it."""
    for _ in range(500):
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def pending(gate: Gate, person: Person) -> list[dict[str, Any]]:
    found = expect(200, gate.get("/approvals", **person.headers))["items"]
    return [one for one in found if one["status"] == "pending"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_call_is_decided_and_forwarded(gate: Gate, gateway: GatewayProcess, person: Person, mode: str) -> None:
    async with connect(gateway, gateway.token(person, "read"), mode) as client:
        assert (await client.call_tool("read_note", {"name": "a"})).data == {"name": "a", "text": None}
        shown = {tool.name for tool in await client.list_tools()}
        assert await client.read_resource("notes://index")
        assert (await client.get_prompt("summarize", {"name": "a"})).messages
    assert shown == {"read_note", "process", "count", "big", "fail", "request_access"}
    verified = gate.entries(gateway.developer, event="token.verify", outcome="allowed")
    assert [next(verified)["resource"] for _ in range(3)] == ["summarize", "notes://index", "read_note"]


async def test_a_client_of_the_mcp_package_signs_in_and_steps_up(
    gate: Gate, gateway: GatewayProcess, person: Person
) -> None:
    """It begins with what needs no approval, and asks for more when a call needs it."""
    client = McpClient(gate, person, gateway.url)
    async with client.client as session:
        assert {tool.name for tool in await session.list_tools()} >= {"read_note", "request_access"}
        assert client.asked == [f"{gateway.prefix}:read"]
        assert (await session.call_tool("read_note", {"name": "a"})).data["name"] == "a"
        answer = await session.call_tool("request_access", {"tools": ["pay"]})
        assert "Allowed now: pay" in answer.content[0].text
        assert set(client.asked[1].split()) == set(gateway.scopes("read", "pay"))
        assert "pay" in {tool.name for tool in await session.list_tools()}


async def test_an_approved_call_is_carried_out_once(gate: Gate, gateway: GatewayProcess, person: Person) -> None:
    (write,) = gateway.scopes("write")
    token = gateway.token(person, "read", "write", modes={write: "ask"})
    async with connect(gateway, token) as client, connect(gateway, token, "legacy") as twin:
        note = {"name": "a", "text": "b"}
        calls = [asyncio.create_task(one.call_tool("write_note", note)) for one in (client, client, twin)]
        (asked,) = await until(lambda: pending(gate, person))
        await asyncio.sleep(0.1)
        assert len(pending(gate, person)) == 1
        expect(200, gate.post(f"/approvals/{asked['id']}/approve", {}, **person.headers))
        assert [(await call).data for call in calls] == ["written: a"] * 3
        assert (await client.call_tool("read_note", {"name": "a"})).data["text"] == "b"
    entries = list(gate.entries(gateway.developer, event="token.verify", outcome="allowed"))
    assert len([one for one in entries if one["resource"] == "write_note" and one["userId"] == person.id]) == 1


async def test_money_is_reserved_and_the_final_amount_counts(
    gate: Gate, gateway: GatewayProcess, person: Person
) -> None:
    """Two payments of 10.00 that cost 7.50 each fit into 17.50, because only the first half is reserved then."""
    (pay,) = gateway.scopes("pay")
    limit = {"type": "spend_limit", "config": {"maxAmount": "17.50", "currency": "EUR", "windowSeconds": 3600}}
    limit["config"]["scope"] = "per_user"
    token = gateway.token(person, "pay", modes={pay: "allow"}, limits={pay: [limit]})
    async with connect(gateway, token) as client:
        for _ in range(2):
            assert (await client.call_tool("pay", {"to": "bob", "amount": "10.00"})).data == {"total": "7.50"}
        refused = await client.call_tool("pay", {"to": "bob", "amount": "2.51"}, raise_on_error=False)
    assert json.loads(refused.content[0].text)["policy"]["ruleType"] == "spend_limit"


async def test_a_revoked_consent_denies_the_next_call(gate: Gate, gateway: GatewayProcess, person: Person) -> None:
    token = gateway.token(person, "read")
    async with connect(gateway, token) as client:
        await client.call_tool("read_note", {"name": "a"})
        (consent,) = expect(200, gate.get("/users/me/consents", **person.headers))["items"]
        expect(200, gate.post(f"/users/me/consents/{consent['id']}/revoke", {}, **person.headers))
        refused = await client.call_tool("read_note", {"name": "a"}, raise_on_error=False)
        assert json.loads(refused.content[0].text)["reason"] in ("consent_revoked", "token_revoked")
    answer = httpx.post(gateway.url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_a_token_for_another_service_is_refused(gate: Gate, gateway: GatewayProcess, person: Person) -> None:
    foreign = gate.agent(gate.developer(), ("email:read",))
    token = gate.tokens(foreign, person, ("email:read",))["accessToken"]
    answer = httpx.post(gateway.url, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.fixture
def stopping(gate: Gate, gateway_developer: Developer, servers: Servers) -> Iterator[GatewayProcess]:
    """A gateway that the test stops."""
    with gateway_process(gate, gateway_developer, servers.folder / "stopping") as gateway:
        yield gateway


async def test_sigterm_loses_no_call(stopping: GatewayProcess, person: Person) -> None:
    assert stopping.process is not None
    async with connect(stopping, stopping.token(person, "read")) as client:
        await client.call_tool("read_note", {"name": "a"})
        stopping.process.send_signal(signal.SIGHUP)
        await until(lambda: any("were read again" in line["event"] for line in stopping.log()))
        children = _children(stopping)
        assert children
        call = asyncio.create_task(client.call_tool("count", {"to": 50}))
        await asyncio.sleep(0.1)
        stopping.process.send_signal(signal.SIGTERM)
        assert (await call).data == 50
    assert await asyncio.to_thread(stopping.process.wait, 20) == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert [line["name"] for line in stopping.calls()] == ["read_note", "count"]
    text = (stopping.folder / "gateway.log").read_text()
    assert "claude mcp add --transport http notes" in text
    assert "rs_" not in text
    assert "Traceback" not in text


def _children(gateway: GatewayProcess) -> list[int]:
    import psutil

    assert gateway.process is not None
    return [child.pid for child in psutil.Process(gateway.process.pid).children(recursive=True)]
