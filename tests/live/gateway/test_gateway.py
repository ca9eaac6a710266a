"""A gateway in its own process, with a real AgentGate, a real MCP server and real clients."""

from typing import Any

import pytest

from tests.live.gate import Gate, Person
from tests.live.gateway.served import GatewayProcess


def connect(gateway: GatewayProcess, token: str, mode: str = "auto", **options: Any) -> Any:
    from fastmcp import Client

    return Client(gateway.url, auth=token, mode=mode, **options)


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_call_is_decided_and_forwarded(gate: Gate, gateway: GatewayProcess, person: Person, mode: str) -> None:
    async with connect(gateway, gateway.token(person, "read"), mode) as client:
        assert (await client.call_tool("read_note", {"name": "a"})).data == {"name": "a", "text": None}
        shown = {tool.name for tool in await client.list_tools()}
        assert await client.read_resource("notes://index")
        assert (await client.get_prompt("summarize", {"name": "a"})).messages
    assert shown == {"read_note", "process", "count", "big", "fail", "request_access"}
    entries = [
        entry for entry in gate.entries(gateway.developer, event="token.verify") if entry["outcome"] == "allowed"
    ]
    assert entries[0]["resource"] is not None
