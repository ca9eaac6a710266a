"""A gateway with a fake AgentGate before it and a FastMCP server behind it, all in this process."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import uvicorn
from fastmcp import Client, Context, FastMCP
from fastmcp.tools.base import ToolResult
from mcp import MCPError

from agentgate_oauth.gateway import lock
from agentgate_oauth.gateway.config import Limits, Upstream, dump, parse
from agentgate_oauth.gateway.files import Credential, Files, save_credential
from agentgate_oauth.gateway.front import Bounds, http_app
from agentgate_oauth.gateway.running import Running, _add_health
from agentgate_oauth.gateway.upstreams import read_definitions

GATE = "https://gate.example"
APPROVAL_URL = f"{GATE}/approvals/apr_1"
TIME = "2026-12-01T12:00:00Z"
ALL = ("notes:read", "notes:write", "shop:pay")


MODERN = {
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Accept": "application/json, text/event-stream",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def post(served: Any, body: Any, token: str = "ada.agent", **headers: str) -> httpx.Response:
    """Send one message of the modern protocol."""
    named = {**MODERN, "Authorization": f"Bearer {token}", **headers}
    async with httpx.AsyncClient() as http:
        return await http.post(f"{served.url}/mcp", content=json.dumps(body), headers=named)


def message(method: str, **params: Any) -> dict[str, Any]:
    meta = {**META, **params.pop("meta", {})}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


class FakeGate:
    """Knows tokens as "user.agent", with `scopes`. `asks` are the scopes that need an approval each time."""

    def __init__(self) -> None:
        self.scopes: dict[str, tuple[str, ...]] = {}
        self.ended: set[str] = set()
        self.asks: set[str] = set()
        self.denies: set[str] = set()
        self.status = "pending"
        self.verified: list[dict[str, Any]] = []
        self.introspected: list[str] = []
        self.settled: list[tuple[str, Any]] = []
        self.fails_settling = 0
        self.looks = 0
        self.is_down = False

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        assert request.headers["Authorization"] == "Basic cmVzXzE6cnNfMQ=="
        path = request.url.path.removeprefix("/api/v1")
        if path == "/oauth/introspect":
            return self._introspect(parse_qs(request.content.decode())["token"][0])
        if path == "/tokens/verify":
            return httpx.Response(200, json=self._verify(json.loads(request.content)))
        if path.startswith("/approvals/"):
            self.looks += 1
            found = {"id": "apr_1", "status": self.status, "expiresAt": TIME}
            return httpx.Response(200, json=found)
        if path.startswith("/tokens/reservations/"):
            return self._settle(path.rsplit("/", 1)[1], json.loads(request.content))
        return httpx.Response(404, json={"code": "not_found"})

    def _introspect(self, token: str) -> httpx.Response:
        self.introspected.append(token)
        if "." not in token or token in self.ended:
            return httpx.Response(200, json={"active": False})
        user, agent = token.split(".")[:2]
        scope = " ".join(self.scopes.get(token, ALL))
        known = {"active": True, "scope": scope, "sub": user, "client_id": agent, "consent_id": f"cns_{user}"}
        chain = [{"agent_id": "first"}, {"agent_id": agent, "delegation_id": "dlg_1"}]
        handed = {"chain": chain, "actor": chain[1]} if token.endswith(".handed") else {}
        return httpx.Response(200, json={**known, **handed, "exp": int(time.time()) + 900})

    def _verify(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.verified.append(asked)
        user, agent = asked["token"].split(".")[:2]
        known = {"userId": user, "agentId": agent, "auditId": f"log_{len(self.verified)}"}
        if asked["token"] in self.ended:
            return {**known, "allowed": False, "reason": "token_revoked"}
        (scope,) = asked["requiredScopes"]
        if scope not in self.scopes.get(asked["token"], ALL):
            return {**known, "allowed": False, "reason": "insufficient_scope", "missingScopes": [scope]}
        if scope in self.denies:
            return {**known, "allowed": False, "reason": "policy_denied"}
        if scope in self.asks and self.status != "approved":
            approval = {"approvalId": "apr_1", "approvalUrl": APPROVAL_URL, "approvalStatus": self.status}
            return {**known, "allowed": False, "reason": "approval_required", **approval}
        if scope in self.asks:
            self.status = "used"
        reserved = {"reservationId": "rsv_1"} if asked.get("reserve") else {}
        return {**known, "allowed": True, **reserved}

    def _settle(self, act: str, body: dict[str, Any]) -> httpx.Response:
        if self.fails_settling:
            self.fails_settling -= 1
            return httpx.Response(503, json={"code": "unavailable"})
        self.settled.append((act, body.get("amount")))
        done = {"id": "rsv_1", "status": "committed", "amount": "10", "currency": "EUR", "expiresAt": TIME}
        return httpx.Response(200, json=done)


class Notes(FastMCP[Any]):
    """The upstream. `called` are the calls that reached it."""

    def __init__(self) -> None:
        super().__init__("Notes", instructions="Keep notes short.")
        self.called: list[tuple[str, Any]] = []
        self.meta: dict[str, Any] = {}
        self.answers: Mapping[str, Any] = {}
        self.blocker = threading.Event()
        self.blocker.set()
        self.paying = threading.Event()
        self.paying.set()
        called = self.called

        @self.tool(description="Read a note")
        def read_note(name: str) -> dict[str, str]:
            called.append(("read_note", name))
            return {"note": f"text of {name}"}

        @self.tool(description="Write a note")
        async def write_note(name: str, text: str, context: Context) -> str:
            request = context.request_context
            self.meta = dict(request.meta or {}) if request else {}
            self.answers = context.input_responses or {}
            called.append(("write_note", name))
            while not self.blocker.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return f"written: {name}"

        @self.tool(description="Pay someone")
        async def pay(to: str, amount: str, fails: str = "") -> Any:
            called.append(("pay", amount))
            while not self.paying.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if fails == "protocol":
                raise MCPError(-32602, "no money")
            if fails == "with_total":
                return ToolResult("no money", structured_content={"total": "0"}, is_error=True)
            if fails:
                raise ValueError("no money")
            return {"total": "7.50"}

        @self.tool(description="Not exposed")
        def secret_tool() -> str:
            called.append(("secret_tool", None))
            return "secret"

        @self.resource("notes://index", description="All notes")
        def index() -> str:
            return "a, b"

        @self.resource("notes://hidden")
        def hidden() -> str:
            called.append(("hidden", None))
            return "hidden"

        @self.resource("notes://note/{name}")
        def note(name: str) -> str:
            called.append(("note", name))
            return f"note {name}"

        @self.prompt(description="Summarize a note")
        def summarize(name: str) -> str:
            return f"Summarize {name}"


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Serve an application in a thread, and yield its address."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # or asyncio leaves TCP_NODELAY off
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


TEXT = """
version: 1
gate: https://gate.example
name: Notes
identifier: IDENTIFIER
upstreams:
  notes:
    url: UPSTREAM
    tools:
      read_note:
        {scope: "notes:read", risk: low, labels: [private], context: {target: {arguments: [name]}}}
      write_note: {scope: "notes:write", risk: high, asks: true}
      pay:
        scope: shop:pay
        risk: critical
        context: {recipient: {arguments: [to]}, amount: {argument: amount, currency: EUR}}
        final_amount: total
    resources:
      "notes://index": {scope: "notes:read", risk: low}
      "notes://note/*": {scope: "notes:read", risk: low}
    prompts:
      summarize: {scope: "notes:read", risk: low}
scopes: {}
limits: {approval_seconds: 1, call_seconds: 5, start_seconds: 5}
"""


def write_files(folder: Path, upstream: str, pinned: lock.Definitions, port: int = 9) -> Files:
    """Write the three files of a gateway."""
    files = Files(folder / "gateway.yaml")
    text = TEXT.replace("UPSTREAM", upstream).replace("IDENTIFIER", f"http://127.0.0.1:{port}/mcp")
    files.config.write_text(dump(parse(text, "test")))
    lock.save(files.lock, {"notes": pinned})
    save_credential(files.credential, Credential("res_1", "rs_1"))
    return files


async def pin(url: str) -> lock.Definitions:
    return await read_definitions("notes", Upstream(url=url), Limits())


class Served:
    """A served gateway, for a test."""

    def __init__(self, running: Running, bounds: Bounds, url: str) -> None:
        self.running, self.bounds, self.url = running, bounds, url

    def client(self, token: str = "ada.agent", mode: str = "auto", **options: Any) -> Client[Any]:
        return Client(f"{self.url}/mcp", auth=token, mode=mode, **options)


@asynccontextmanager
async def gateway(files: Files, gate: FakeGate, *, is_shadow: bool = False) -> AsyncIterator[Served]:
    """Serve a gateway in this event loop."""
    async with gate.client() as http_client:
        running = Running(files, is_shadow=is_shadow, http_client=http_client)
        bounds = Bounds(running.gateway.limits.idle_seconds)
        app = http_app(running.server, running.gateway, running.catalogue, bounds, is_shadow=is_shadow)
        _add_health(app, running, bounds)
        with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # or asyncio leaves TCP_NODELAY off
            listener.bind(("127.0.0.1", 0))
            options: dict[str, Any] = {"log_config": None, "ws": "none", "timeout_graceful_shutdown": 1}
            server = uvicorn.Server(uvicorn.Config(app, lifespan="on", **options))
            server.capture_signals = _no_signals  # type: ignore[method-assign]
            task = asyncio.create_task(server.serve([listener]))
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            try:
                yield Served(running, bounds, f"http://127.0.0.1:{listener.getsockname()[1]}")
            finally:
                server.should_exit = True
                await task
                await running.aclose(1)


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until something is the case, for at most 5 seconds, and return it."""
    deadline = time.monotonic() + 5
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)
    return found
