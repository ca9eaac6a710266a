"""HTTP in front: metadata, challenges, sessions that belong to one user, and bounds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastmcp import Client
from gateways import MODERN, FakeGate, Notes, Served, message, post, until

from agentgate_oauth.gateway import front
from agentgate_oauth.gateway.callers import Introspections

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
METADATA = "http://127.0.0.1:9/.well-known/oauth-protected-resource/mcp"
CALL = {"Mcp-Method": "tools/call"}


async def send(served: Served, method: str, token: str | None, body: Any = None, **headers: str) -> Any:
    """Send a request of the handshake era."""
    named = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **headers}
    if token:
        named["Authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient() as http:
        content = None if body is None else json.dumps(body)
        return await http.request(method, f"{served.url}/mcp", content=content, headers=named)


async def open_session(served: Served, token: str) -> str:
    answer = await send(served, "POST", token, INITIALIZE)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["mcp-session-id"])


async def test_metadata_says_where_tokens_come_from(served: Served) -> None:
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"{served.url}/.well-known/oauth-protected-resource/mcp")).json()
    assert found["resource"] == "http://127.0.0.1:9/mcp"
    assert found["authorization_servers"] == ["https://gate.example/oauth"]
    assert found["scopes_supported"] == ["notes:read", "notes:write", "shop:pay"]


async def test_without_a_token_the_scopes_to_begin_with_are_named(gate: FakeGate, served: Served) -> None:
    answer = await send(served, "POST", None, INITIALIZE)
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert "error" not in challenge
    assert f'resource_metadata="{METADATA}"' in challenge
    assert 'scope="notes:read"' in challenge
    gate.ended.add("ada.agent")
    answer = await send(served, "POST", "ada.agent", INITIALIZE)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_the_scopes_of_a_server_that_was_added_are_published(served: Served) -> None:
    """Else clients do not ask their users for them."""
    config = served.running.files.config
    config.write_text(config.read_text().replace("notes:read", "files:read"))
    served.running.reload()
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"{served.url}/.well-known/oauth-protected-resource/mcp")).json()
    assert found["scopes_supported"] == ["files:read", "notes:write", "shop:pay"]
    challenge = (await send(served, "POST", None, INITIALIZE)).headers["WWW-Authenticate"]
    assert 'scope="files:read"' in challenge


async def test_a_missing_scope_is_answered_before_mcp(gate: FakeGate, served: Served) -> None:
    """The challenge names what is needed, and what the token has, so that clients keep that."""
    pay = {"name": "pay", "arguments": {"to": "b", "amount": "1"}}
    more = {"name": "request_access", "arguments": {"tools": ["pay", "write_note"]}}
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("tools/call", pay, "notes:read", "shop:pay"),
        ("tools/call", more, "notes:read", "shop:pay notes:write"),
        ("prompts/get", {"name": "summarize", "arguments": {}}, "notes:write", "notes:read"),
        ("resources/read", {"uri": "notes://index"}, "notes:write", "notes:read"),
        ("resources/read", {"uri": "notes://note/a"}, "notes:write", "notes:read"),
    ]
    for number, (method, params, granted, needed) in enumerate(cases):
        token = f"ada.agent.{number}"
        gate.scopes[token] = (granted,)
        answer = await post(served, message(method, **params), token, **{"Mcp-Method": method})
        assert answer.status_code == 403
        challenge = answer.headers["WWW-Authenticate"]
        scopes = challenge.split('scope="')[1].split('"')[0]
        assert set(scopes.split()) == {granted, *needed.split()}
        assert 'error="insufficient_scope"' in challenge
        assert f'resource_metadata="{METADATA}"' in challenge
    assert gate.verified == []


async def test_verify_is_not_cached_and_introspection_is_for_5_seconds(
    gate: FakeGate, served: Served
) -> None:
    async with served.client() as client:
        await client.call_tool("read_note", {"name": "a"})
        await client.call_tool("read_note", {"name": "a"})
        assert (len(gate.verified), len(gate.introspected)) == (2, 1)
        gate.scopes["ada.agent"] = ("notes:write",)
        with pytest.raises(Exception, match="insufficient_scope"):
            await client.call_tool("read_note", {"name": "a"})
    # What verify has said is known to the front at once.
    headers = {**CALL, "Mcp-Name": "read_note"}
    answer = await post(served, message("tools/call", name="read_note", arguments={"name": "a"}), **headers)
    assert answer.status_code == 403


async def test_introspection_is_asked_again_after_its_time(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    introspections = Introspections(served.running._verifier, lambda: now[0])
    for later, asked in ((0.0, 1), (4.9, 1), (0.2, 2)):
        now[0] += later
        await introspections.of("ada.agent")
        assert len(gate.introspected) == asked
    monkeypatch.setattr("agentgate_oauth.gateway.callers._MAX_INTROSPECTIONS", 2)
    for user in "bcd":
        await introspections.of(f"{user}.agent")
    assert len(introspections._found) == 2


async def test_a_session_belongs_to_the_user_and_agent_who_opened_it(notes: Notes, served: Served) -> None:
    session = await open_session(served, "ada.agent")
    headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    call = {**message("tools/call", name="read_note", arguments={"name": "a"})}
    for other in ("bob.agent", "ada.other"):
        assert (await send(served, "POST", other, call, **headers)).status_code == 404
        assert (await send(served, "GET", other, **headers)).status_code == 404
        assert (await send(served, "DELETE", other, **headers)).status_code == 404
    assert (await send(served, "POST", "none", call, **headers)).status_code == 401
    assert notes.called == []
    # A new token of the same user and agent, as after a refresh, goes on with the session.
    assert (await send(served, "POST", "ada.agent.2", call, **headers)).status_code == 200
    assert notes.called == [("read_note", "a")]


async def test_each_call_of_a_session_is_decided_with_its_own_token(gate: FakeGate, served: Served) -> None:
    session = await open_session(served, "ada.agent")
    headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    call = message("tools/call", name="read_note", arguments={"name": "a"})
    for token in ("ada.agent", "ada.agent.2"):
        await send(served, "POST", token, call, **headers)
    assert [asked["token"] for asked in gate.verified] == ["ada.agent", "ada.agent.2"]


async def test_one_user_cannot_open_all_sessions(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MAX_SESSIONS_PER_USER", 2)
    sessions = [await open_session(served, "ada.agent") for _ in range(2)]
    answer = await send(served, "POST", "ada.agent", INITIALIZE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    at_once = await asyncio.gather(*(send(served, "POST", "bob.agent", INITIALIZE) for _ in range(6)))
    assert [one.status_code for one in at_once].count(200) == 2
    headers = {"Mcp-Session-Id": sessions[0], "MCP-Protocol-Version": "2025-11-25"}
    assert (await send(served, "DELETE", "ada.agent", **headers)).status_code == 200
    await open_session(served, "ada.agent")
    for session in served.bounds._sessions.values():
        session.used_at -= 601
    await open_session(served, "ada.agent")


async def test_one_user_cannot_hold_all_requests(
    gate: FakeGate, notes: Notes, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MAX_REQUESTS_PER_USER", 2)
    notes.blocker.clear()
    call = message("tools/call", name="write_note", arguments={"name": "a", "text": "b"})
    headers = {**CALL, "Mcp-Name": "write_note"}
    try:
        waiting = [asyncio.create_task(post(served, call, **headers)) for _ in range(2)]
        await until(lambda: len(notes.called) == 2)
        answer = await post(served, call, **headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        read = message("tools/call", name="read_note", arguments={"name": "a"})
        other = await post(served, read, "bob.agent", **{**CALL, "Mcp-Name": "read_note"})
        assert other.status_code == 200
    finally:
        notes.blocker.set()
    assert [(await one).status_code for one in waiting] == [200, 200]


async def test_a_session_has_one_stream(served: Served) -> None:
    session = await open_session(served, "ada.agent")
    headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": "1"}
    headers |= {"Accept": "text/event-stream", "Authorization": "Bearer ada.agent"}
    statuses: list[int] = []
    async with httpx.AsyncClient() as http:

        async def listen() -> None:
            async with http.stream("GET", f"{served.url}/mcp", headers=headers) as answer:
                statuses.append(answer.status_code)
                async for _ in answer.aiter_bytes():
                    pass

        listening = [asyncio.create_task(listen()) for _ in range(6)]
        await until(lambda: len(statuses) == 6)
        assert sorted(statuses) == [200, *[409] * 5]
        # The end does not wait for streams.
        assert await served.bounds.drain(1)
        for one in listening:
            one.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    await until(lambda: not served.bounds._streams)


async def test_a_refused_request_opens_no_session(served: Served) -> None:
    for method in ("GET", "DELETE"):
        assert (await send(served, method, "ada.agent")).status_code == 400
    assert not served.bounds._sessions


async def test_bodies_are_bounded_in_size_and_time(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MAX_BODY", 1000)
    long = message("tools/call", name="read_note", arguments={"name": "a" * 1000})
    assert (await post(served, long, **CALL)).status_code == 413

    async def dripping(seconds: float) -> Any:
        for _ in range(20):
            yield b" " * 100
            await asyncio.sleep(seconds)

    headers = {**MODERN, "Authorization": "Bearer ada.agent"}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{served.url}/mcp", content=dripping(0), headers=headers)
        assert answer.status_code == 413
        monkeypatch.setattr(front, "BODY_SECONDS", 0.05)
        answer = await http.post(f"{served.url}/mcp", content=dripping(0.1), headers=headers)
        assert answer.status_code == 408
    assert gate.verified == []


async def test_other_hosts_and_origins_are_refused(served: Served) -> None:
    for headers, status in (
        ({"Host": "attacker.example"}, 421),
        ({"Origin": "https://attacker.example"}, 403),
        ({}, 200),
    ):
        answer = await send(served, "POST", "ada.agent", INITIALIZE, **headers)  # type: ignore[arg-type]
        assert answer.status_code == status


async def test_when_the_gate_is_down_requests_are_refused(gate: FakeGate, served: Served) -> None:
    gate.is_down = True
    answer = await send(served, "POST", "ada.agent", INITIALIZE)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    gate.is_down = False
    async with served.client() as client:
        await client.list_tools()
        gate.is_down = True
        with pytest.raises(Exception, match="gate_unreachable") as raised:
            await client.call_tool("read_note", {"name": "a"})
        assert "AgentGate cannot be reached" in str(raised.value)


async def test_50_parallel_calls_of_two_users_keep_their_answers(notes: Notes, served: Served) -> None:
    async def call(client: Client[Any], name: str) -> str:
        return str((await client.call_tool("read_note", {"name": name})).data["note"])

    async with served.client("ada.agent") as ada, served.client("bob.agent", "legacy") as bob:
        names = [(client, f"{user}{n}") for n in range(25) for client, user in ((ada, "a"), (bob, "b"))]
        answers = await asyncio.gather(*(call(client, name) for client, name in names))
    assert answers == [f"text of {name}" for _, name in names]
    assert served.running.decisions.state.upstreams.count() == {"notes": 2}
