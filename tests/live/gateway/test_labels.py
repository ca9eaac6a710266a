"""What the results of tools bring in: the gateway's labels count for guards against data flows."""

import pytest

from tests.live.gate import Gate, Person
from tests.live.gateway.served import GatewayProcess


async def test_nothing_leaves_after_a_tool_whose_results_are_private_and_untrusted(
    gate: Gate, gateway: GatewayProcess, person: Person
) -> None:
    from fastmcp import Client
    from fastmcp.exceptions import ToolError

    agent = gateway.agent("read", "write")
    gate.policy(gateway.developer, "data_flow", agent, windowSeconds=3600, then="deny")
    async with Client(gateway.url, auth=gateway.token(person, "read", "write", agent=agent)) as client:
        write = {"name": "a", "text": "b"}
        await client.call_tool("write_note", write)
        await client.call_tool("process", {})
        await client.call_tool("write_note", write)
        await client.call_tool("read_note", {"name": "a"})
        with pytest.raises(ToolError, match="policy_denied"):
            await client.call_tool("write_note", write)
