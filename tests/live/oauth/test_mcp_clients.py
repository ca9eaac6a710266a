"""The mcp and fastmcp clients log in to a FastMCP server that AgentGate protects, as they come from the index."""

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest

from tests.live.gate import Developer, Gate, Person
from tests.live.oauth.conftest import publish
from tests.live.oauth.door import decide, query_of

# They take a second to import, in each process that collects the tests.
if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

CALLBACK = "http://127.0.0.1:3117/callback"


class Memory:
    """What a client keeps between its runs."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> "OAuthToken | None":
        return self.tokens

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        self.tokens = tokens

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        return self.client

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        self.client = client_info


class McpClient:
    """A client made of the mcp package, whose browser belongs to `person`."""

    def __init__(self, gate: Gate, person: Person, url: str, metadata_url: str | None = None) -> None:
        from fastmcp import Client
        from fastmcp.client.transports import StreamableHttpTransport
        from mcp.client.auth import OAuthClientProvider
        from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

        self.memory, self.asked = Memory(), list[str]()
        self.answer = ""

        async def open_browser(authorization_url: str) -> None:
            self.asked.append(query_of(authorization_url)["scope"])
            self.answer = await asyncio.to_thread(decide, gate, person, authorization_url)

        async def wait_for_callback() -> AuthorizationCodeResult:
            answer = query_of(self.answer)
            return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

        self.provider = OAuthClientProvider(
            server_url=url,
            client_metadata=OAuthClientMetadata(
                client_name="mcp client",
                redirect_uris=[CALLBACK],
                grant_types=["authorization_code", "refresh_token"],
                token_endpoint_auth_method="none",
            ),
            storage=self.memory,
            redirect_handler=open_browser,
            callback_handler=wait_for_callback,
            client_metadata_url=metadata_url,
        )
        self.client: Client[Any] = Client(StreamableHttpTransport(url, auth=self.provider))

    async def call(self, tool: str, **arguments: str) -> Any:
        async with self.client as session:
            return (await session.call_tool(tool, arguments)).data


@pytest.fixture
def client(gate: Gate, person: Person, tickets: str) -> McpClient:
    return McpClient(gate, person, tickets)


async def test_the_mcp_client_registers_logs_in_and_calls_a_tool(client: McpClient) -> None:
    assert await client.call("list_tickets") == ["The printer is on fire"]
    assert client.asked == ["tickets:read"]
    assert client.memory.client is not None
    assert str(client.memory.client.client_id).startswith("agc_")


async def test_the_mcp_client_is_known_by_its_metadata_document(
    gate: Gate, person: Person, tickets: str, documents: Path
) -> None:
    document = {
        "client_id": "https://client.example/mcp.json",
        "client_name": "mcp client",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    client = McpClient(gate, person, tickets, publish(documents, document))
    assert await client.call("list_tickets") == ["The printer is on fire"]
    assert client.memory.client is not None
    assert str(client.memory.client.client_id) == document["client_id"]


async def test_the_mcp_client_refreshes_what_has_expired_without_asking_again(client: McpClient) -> None:
    await client.call("list_tickets")
    first = client.memory.tokens
    client.provider.context.token_expiry_time = 1.0

    assert await client.call("list_tickets") == ["The printer is on fire"]

    assert client.memory.tokens is not None
    assert first is not None
    assert client.memory.tokens.access_token != first.access_token
    assert client.memory.tokens.refresh_token != first.refresh_token
    assert client.asked == ["tickets:read"]


async def test_two_tasks_that_refresh_at_once_are_not_signed_out(
    gate: Gate, person: Person, tickets: str, client: McpClient
) -> None:
    """Each task has its own client and the same stored tokens, as two windows of one program have."""
    await client.call("list_tickets")
    twin = McpClient(gate, person, tickets)
    twin.memory.tokens, twin.memory.client = client.memory.tokens, client.memory.client
    await twin.call("list_tickets")
    twin.provider.context.oauth_metadata = client.provider.context.oauth_metadata
    twin.provider.context.protected_resource_metadata = client.provider.context.protected_resource_metadata
    for each in (client, twin):
        each.provider.context.token_expiry_time = 1.0

    answers = await asyncio.gather(client.call("list_tickets"), twin.call("list_tickets"))

    assert answers == [["The printer is on fire"]] * 2
    assert client.memory.tokens is not None
    assert client.memory.tokens == twin.memory.tokens
    assert len(client.asked + twin.asked) == 1, "the person was asked once, at the beginning"


async def test_the_mcp_client_steps_up_when_a_tool_needs_more(client: McpClient) -> None:
    await client.call("list_tickets")
    assert await client.call("close_ticket", title="printer") == "closed: printer"
    assert client.asked == ["tickets:read", "tickets:read tickets:close"]
    assert client.memory.tokens is not None
    assert client.memory.tokens.scope == "tickets:read tickets:close"


async def test_a_limit_counts_the_calls_of_a_tool(client: McpClient, gate: Gate, tickets_developer: Developer) -> None:
    from fastmcp.exceptions import ToolError

    limit = {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_user", "actions": ["tickets:close"]}
    policy = gate.policy(tickets_developer, "rate_limit", **limit)
    assert await client.call("close_ticket", title="printer") == "closed: printer"
    with pytest.raises(ToolError, match='"error": "rate_limited"'):
        await client.call("close_ticket", title="scanner")
    gate.call("DELETE", f"/policies/{policy}", **tickets_developer.headers)


async def test_a_revocation_is_seen_by_the_next_call(client: McpClient, gate: Gate, person: Person) -> None:
    await client.call("list_tickets")
    (consent,) = gate.get("/users/me/consents", **person.headers).json()["items"]
    gate.post(f"/users/me/consents/{consent['id']}/revoke", **person.headers)

    await client.call("list_tickets")

    assert len(client.asked) == 2, "the old token was refused, so the person was asked again"


async def test_the_fastmcp_client_logs_in_through_its_own_callback_server(
    gate: Gate, person: Person, tickets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastmcp import Client
    from fastmcp.client.auth import OAuth

    def browse(url: str) -> bool:
        threading.Thread(target=lambda: httpx.get(decide(gate, person, url), timeout=30)).start()
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    async with Client(tickets, auth=OAuth()) as session:
        assert (await session.call_tool("list_tickets", {})).data == ["The printer is on fire"]


async def test_the_service_says_what_a_client_needs_to_know(tickets: str, gate: Gate) -> None:
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    async with httpx2.AsyncClient() as http:
        refused = await http.post(tickets, content=message, headers={"Content-Type": "application/json"})
        challenge = refused.headers["WWW-Authenticate"]
        assert refused.status_code == 401
        assert "error" not in challenge
        metadata = (await http.get(challenge.split('resource_metadata="')[1].split('"')[0])).json()
    assert metadata["resource"] == tickets
    assert metadata["authorization_servers"] == [f"{gate.url}/oauth"]
