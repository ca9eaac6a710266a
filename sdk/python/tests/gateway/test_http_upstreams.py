"""Upstreams over HTTP: what is sent to them, and what a hostile one can do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastmcp import Client, FastMCP
from hostile_http import HostileServer, hostile_server

from agentgate_oauth.gateway.config import ConfigError, Limits, Secret, Upstream
from agentgate_oauth.gateway.upstreams import (
    UpstreamError,
    UpstreamFailed,
    Upstreams,
    UpstreamTimeout,
)

SECRET = "upstream-secret-value"


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


@asynccontextmanager
async def pool_of(url: str, limits: Limits | None = None, **headers: Secret) -> AsyncIterator[Upstreams]:
    limits = limits or Limits(message_bytes=100_000, call_seconds=5)
    async with Upstreams({"up": Upstream(url=url, headers=headers)}, limits) as pool:
        yield pool


async def attack(pool: Upstreams, how: str, user: str = "u", era: Any = "legacy") -> str:
    async with pool.client("up", user_id=user, agent_id="a", era=era) as client:
        result = await client.call_tool_mcp("attack", {"how": how})
        return str(getattr(result.content[0], "text", ""))


@pytest.mark.parametrize(
    "how, problem",
    [
        ("large_json", "has more than 100,000 bytes"),
        ("large_event", "exceeded the 100000 byte limit"),
        ("cut", "ended without a response"),
        ("malformed", "Failed to parse JSON"),
        ("compressed", "compressed its answer"),
        ("redirect", "answered with HTTP status 307"),
        ("unauthorized", "answered with HTTP status 401"),
        ("broken", "answered with HTTP status 502"),
        ("forget", "has forgotten the session"),
    ],
)
async def test_after_what_is_not_an_answer_the_outcome_is_unknown(
    hostile: HostileServer, how: str, problem: str
) -> None:
    with hostile_server() as elsewhere:
        hostile.elsewhere = elsewhere.url
        async with pool_of(hostile.url) as pool:
            with pytest.raises(UpstreamError, match=problem) as raised:
                await attack(pool, how)
            assert raised.value.sent
            assert "headers" not in await attack(pool, "headers_of_request")
            assert not elsewhere.seen


@pytest.mark.parametrize("how", ["endless_events", "endless_comments"])
async def test_endless_streams_end_in_time(hostile: HostileServer, how: str) -> None:
    async with pool_of(hostile.url, Limits(call_seconds=0.5)) as pool:
        attacking = asyncio.ensure_future(attack(pool, how))
        while not attacking.done():
            await asyncio.wait_for(attack(pool, "headers_of_request", "v"), 2)
        with pytest.raises(UpstreamTimeout):
            await attacking
        await attack(pool, "headers_of_request")


async def test_only_the_configured_headers_are_sent(
    hostile: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_AUTHORIZATION", f"Bearer {SECRET}")
    async with pool_of(hostile.url, Authorization=Secret(variable="UPSTREAM_AUTHORIZATION")) as pool:
        gate: FastMCP = FastMCP("gate")

        @gate.tool
        async def seen() -> str:
            return await attack(pool, "headers_of_request")

        async with serving(gate) as url:
            headers = {"Authorization": "Bearer of-the-caller", "X-Of-The-Caller": "1", "Cookie": "a=b"}
            async with Client({"mcpServers": {"gate": {"url": url, "headers": headers}}}) as client:
                found = json.loads((await client.call_tool("seen", {})).content[0].text)
    assert found["authorization"] == f"Bearer {SECRET}"
    assert found["accept-encoding"] == "identity"
    assert not {"x-of-the-caller", "cookie"} & set(found)
    assert SECRET not in repr(vars(pool))
    monkeypatch.delenv("UPSTREAM_AUTHORIZATION")
    with pytest.raises(ConfigError, match="upstreams.up: The variable UPSTREAM_AUTHORIZATION is not set"):
        async with pool_of(hostile.url, Authorization=Secret(variable="UPSTREAM_AUTHORIZATION")):
            pass


async def test_two_users_have_two_http_sessions(hostile: HostileServer) -> None:
    async with pool_of(hostile.url) as pool:
        found = [json.loads(await attack(pool, "headers_of_request", user)) for user in "uvu"]
    sessions = [one["mcp-session-id"] for one in found]
    assert sessions[0] == sessions[2] != sessions[1]


async def test_an_upstream_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with pool_of(f"http://127.0.0.1:{unused.getsockname()[1]}/mcp") as pool:
            with pytest.raises(UpstreamFailed, match="could not be reached. The call was not carried out"):
                await attack(pool, "cut")


@asynccontextmanager
async def serving(server: FastMCP) -> AsyncIterator[str]:
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(server.http_app(), log_level="error", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    task = asyncio.ensure_future(running.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        running.should_exit = True
        await task
        listening.close()
