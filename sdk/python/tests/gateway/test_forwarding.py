"""What upstreams say during a call reaches the connection that made the call, through FastMCP's proxy."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.server.providers.proxy import ProxyProvider
from gateways import listening
from hostile_http import hostile_server
from mcp import MCPError

from agentgate_oauth.gateway.config import Limits, Upstream
from agentgate_oauth.gateway.upstreams import AnsweredErrors, Upstreams, front_era

pytestmark = pytest.mark.filterwarnings("ignore:The logging capability", "ignore:The sampling capability")
HOSTILE = Upstream(
    command=[sys.executable, "-S", "-E", str(Path(__file__).with_name("hostile_upstream.py")), "well"]
)


@asynccontextmanager
async def gate_of(upstream: Upstream) -> AsyncIterator[FastMCP]:
    """A FastMCP proxy whose calls are all of one user and one agent."""
    async with Upstreams({"up": upstream}, Limits(call_seconds=10)) as pool:
        gate: FastMCP = FastMCP("gate", middleware=[AnsweredErrors()])
        gate.add_provider(
            ProxyProvider(lambda: pool.client("up", user_id="u", agent_id="a", era=front_era()))
        )
        yield gate


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_progress_reaches_the_call_that_it_belongs_to(era: Any) -> None:
    async def count(client: Client[Any], base: int) -> None:
        marks = [base * 10 + step for step in range(3)]
        heard: list[tuple[float, str | None]] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append((progress, message))

        result = await client.call_tool("count", {"marks": marks}, progress_handler=hear)
        assert result.content[0].text == str(marks[-1])
        assert heard == [(mark, str(mark)) for mark in marks]

    async with gate_of(HOSTILE) as gate, Client(gate, mode=era) as client, Client(gate, mode=era) as other:
        await asyncio.gather(*(count(client if base % 2 else other, base) for base in range(50)))


async def test_log_messages_reach_the_client() -> None:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message.data["msg"])

    async with gate_of(HOSTILE) as gate, Client(gate, mode="legacy", log_handler=hear) as client:
        await client.call_tool("count", {"marks": [7]})
        assert heard == ["7"]


async def accept(message: Any, kind: Any, params: Any, context: Any) -> ElicitResult[Any]:
    return ElicitResult(action="accept", content={})


async def test_questions_over_stdio_reach_the_one_connection_that_has_calls() -> None:
    async with gate_of(HOSTILE) as gate, Client(gate, mode="legacy", elicitation_handler=accept) as client:
        asks = [client.call_tool("attack", {"how": "ask"}) for _ in range(5)]
        for result in await asyncio.gather(*asks):
            assert '"accept"' in result.content[0].text


async def test_an_answer_is_not_matched_with_the_schema_of_the_upstream() -> None:
    async def answer(context: Any, params: Any) -> mcp_types.ElicitResult:
        return mcp_types.ElicitResult(action="accept", content={"name": "a!"})

    async with gate_of(HOSTILE) as gate:
        client = Client(gate, mode="legacy")
        client._session_kwargs["elicitation_callback"] = answer
        async with client:
            result = await client.call_tool("attack", {"how": "ask"})
            assert '"a!"' in result.content[0].text


async def test_questions_over_stdio_are_refused_if_two_connections_have_calls() -> None:
    async with (
        gate_of(HOSTILE) as gate,
        Client(gate, mode="legacy", elicitation_handler=accept) as client,
        Client(gate, mode="legacy", elicitation_handler=accept) as other,
    ):
        waiting = asyncio.ensure_future(other.call_tool("wait", {"seconds": 0.3}))
        await asyncio.sleep(0.1)
        result = await client.call_tool("attack", {"how": "ask"})
        assert "it is unclear to which client" in result.content[0].text
        await waiting
        assert '"accept"' in (await client.call_tool("attack", {"how": "ask"})).content[0].text


async def test_questions_over_http_reach_the_connection_that_made_the_call() -> None:
    upstream: FastMCP = FastMCP("up")

    @upstream.tool
    async def ask(who: str, ctx: Context) -> str:
        answer = await ctx.elicit(who, response_type=str)
        return f"{who}: {getattr(answer, 'data', None)}"

    def named(name: str) -> Any:
        async def answer(message: Any, kind: Any, params: Any, context: Any) -> ElicitResult[Any]:
            await asyncio.sleep(0.05)
            return ElicitResult(action="accept", content={"value": f"{name} heard {message}"})

        return answer

    with listening(upstream.http_app()) as url:
        async with (
            gate_of(Upstream(url=f"{url}/mcp")) as gate,
            Client(gate, mode="legacy", elicitation_handler=named("ada")) as ada,
            Client(gate, mode="legacy", elicitation_handler=named("bob")) as bob,
        ):
            asks = [("ada", ada), ("bob", bob)] * 3
            results = await asyncio.gather(*(one.call_tool("ask", {"who": name}) for name, one in asks))
    assert [result.data for result in results] == [f"{name}: {name} heard {name}" for name, _ in asks]


async def test_an_upstream_of_the_new_protocol_serves_clients_of_both() -> None:
    with hostile_server() as server:
        modern = Upstream(url=server.url.replace("/mcp", "/modern"))
        async with gate_of(modern) as gate, Client(gate, elicitation_handler=accept) as client:
            answered = json.loads((await client.call_tool("ask", {})).content[0].text)
            assert answered == [{"name": {"action": "accept", "content": {}}}, "state-1"]
        async with gate_of(modern) as gate, Client(gate, mode="legacy") as client:
            assert (await client.call_tool("tell", {})).content[0].text == "[null, null]"
            with pytest.raises(MCPError, match="only exists at MCP 2026-07-28"):
                await client.call_tool("ask", {})


async def test_an_upstream_is_offered_no_roots() -> None:
    """A filesystem server replaces its allowed folders by the client's roots."""
    asked = []

    async def roots(context: Any) -> list[str]:
        asked.append(context)
        return ["file:///"]

    async with gate_of(HOSTILE) as gate, Client(gate, mode="legacy", roots=roots) as client:
        result = await client.call_tool("attack", {"how": "ask_for_roots"})
        assert "List roots not supported" in result.content[0].text
        assert not asked


async def test_an_error_that_the_upstream_answers_keeps_its_code() -> None:
    async with gate_of(HOSTILE) as gate, Client(gate) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("attack", {"how": "answer_error"})
        assert raised.value.error.code == -32042
        assert raised.value.error.data == {"why": "because"}
