"""A real MCP client shows its user where to approve a call, in both kinds of the protocol."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastmcp import Client, FastMCP
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from mcp_types import ElicitRequestURLParams

from agentgate_oauth.integrations.fastmcp import current_decision, require_scopes
from agentgate_oauth.service import Guard

URL = "https://gate.example/approvals/apr_1"


class Gate:
    """Requires an approval, which is used once. `status` is what the user has decided."""

    def __init__(self) -> None:
        self.status = "pending"
        self.asked: list[dict[str, Any]] = []
        self.looks = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Basic cmVzXzE6cnNfMQ=="
        if request.url.path == "/api/v1/approvals/apr_1":
            self.looks += 1
            found = {"id": "apr_1", "status": self.status, "expiresAt": "2026-03-01T12:00:00Z"}
            return httpx.Response(200, json=found)
        self.asked.append(json.loads(request.content))
        if self.status == "approved":
            self.status = "used"
            return httpx.Response(200, json={"allowed": True, "userId": "usr_1", "auditId": "log_1"})
        approval = {"approvalId": "apr_1", "approvalUrl": URL, "approvalStatus": self.status}
        return httpx.Response(200, json={"allowed": False, "reason": "approval_required", **approval})


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[str]:
    """Serve a guarded tool, and yield the URL."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(gate))
    guard = Guard("https://gate.example", "res_1", "rs_1", async_http_client=http)
    mcp = FastMCP("mail")

    @mcp.tool
    @require_scopes("email:send", context=dict, guard=guard, wait_for_approval=timedelta(seconds=1))
    def send(recipient: str) -> dict[str, Any]:
        return {"userId": current_decision().user_id, "recipient": recipient}

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(mcp.http_app(), log_level="error", ws="none")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        running.should_exit = True
        thread.join(10)


class Person:
    """Opens links, and decides there. `answer` is what the client says of the link."""

    def __init__(self, gate: Gate, answer: str = "accept", status: str = "approved") -> None:
        self.gate = gate
        self.answer = answer
        self.status = status
        self.links: list[ElicitRequestURLParams] = []

    async def __call__(self, message: str, response_type: Any, params: Any, context: Any) -> Any:
        assert isinstance(params, ElicitRequestURLParams)
        self.links.append(params)
        if self.answer == "accept":
            self.gate.status = self.status
        return ElicitResult(action=self.answer)


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connect(server: str, mode: str, person: Person | None) -> Client[Any]:
    return Client(server, auth="good", mode=mode, elicitation_handler=person)


async def test_the_user_approves_and_the_same_call_goes_through(gate: Gate, server: str, mode: str):
    person = Person(gate)
    async with connect(server, mode, person) as client:
        assert (client.protocol_version == "2026-07-28") == (mode == "auto")
        result = await client.call_tool("send", {"recipient": "a@example.com"})
    assert result.data == {"userId": "usr_1", "recipient": "a@example.com"}
    (link,) = person.links
    # Some clients show only the message.
    assert (link.url, "approval is needed" in link.message, URL in link.message) == (URL, True, True)
    assert [asked["context"]["recipient"] for asked in gate.asked] == ["a@example.com"] * len(gate.asked)
    assert gate.status == "used"


@pytest.mark.parametrize("answer", ["decline", "cancel"])
async def test_a_user_who_does_not_open_the_link_is_not_waited_for(
    gate: Gate, server: str, mode: str, answer: str
):
    async with connect(server, mode, Person(gate, answer)) as client:
        with pytest.raises(ToolError, match="approval_required"):
            await client.call_tool("send", {"recipient": "a@example.com"})
    assert gate.looks == 0


@pytest.mark.parametrize(
    ("status", "said"), [("denied", "Do not send it again."), ("pending", "Then send it again.")]
)
async def test_without_an_approval_the_call_is_refused_with_the_link(
    gate: Gate, server: str, mode: str, status: str, said: str
):
    async with connect(server, mode, Person(gate, status=status)) as client:
        with pytest.raises(ToolError) as refused:
            await client.call_tool("send", {"recipient": "a@example.com"})
    body = json.loads(str(refused.value))
    assert (body["code"], body["approvalUrl"]) == ("approval_required", URL)
    assert body["detail"].endswith(said)


async def test_a_client_that_cannot_open_links_gets_it_in_the_error(gate: Gate, server: str, mode: str):
    async with connect(server, mode, None) as client:
        with pytest.raises(ToolError) as refused:
            await client.call_tool("send", {"recipient": "a@example.com"})
    body = json.loads(str(refused.value))
    assert body["detail"] == f"The user must approve this request at {URL}. Then send it again."
    assert gate.looks == 0
