"""Start a guarded service in its own process, and call it as clients do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Outcome:
    """A service's response. The refusal of a tool has no HTTP status, so its `error` determines one."""

    status: int
    body: Any
    challenge: str | None = None
    retry_after: str | None = None
    media_type: str | None = None


class Service:
    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"

    def send(self, token: str | None, path: str = "/send") -> Outcome:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if self.name == "fastmcp":
            return self._call_tool(headers)
        answer = httpx.post(self.url + path, json={"recipient": "a@example.com"}, headers=headers)
        body = answer.json()
        body = body.get("detail", body) if self.name == "fastapi" else body
        return outcome_of(answer, body)

    def _call_tool(self, headers: dict[str, str]) -> Outcome:
        call = {"name": "send", "arguments": {"recipient": "a@example.com"}}
        answer = httpx.post(
            self.url + "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
            headers={**headers, "Accept": "application/json, text/event-stream"},
        )
        if answer.status_code != 200:
            body = answer.json() if answer.content else {}
            return outcome_of(answer, body)
        result = answer.json()["result"]
        if not result.get("isError"):
            return Outcome(200, result["structuredContent"])
        body = httpx.Response(200, text=result["content"][0]["text"]).json()
        return Outcome(STATUS_OF_TOOL_ERROR[body["error"]], body)


def outcome_of(answer: httpx.Response, body: Any) -> Outcome:
    headers = answer.headers
    return Outcome(
        answer.status_code,
        body,
        headers.get("WWW-Authenticate"),
        headers.get("Retry-After"),
        headers.get("Content-Type"),
    )


STATUS_OF_TOOL_ERROR = {
    "invalid_token": 401,
    "insufficient_scope": 403,
    "access_denied": 403,
    "approval_required": 403,
    "rate_limited": 429,
    "temporarily_unavailable": 503,
}


@contextlib.contextmanager
def running_service(name: str, gate_url: str, server_id: str, secret: str) -> Iterator[Service]:
    port = free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")},
        "AGENTGATE_URL": gate_url,
        "AGENTGATE_RESOURCE_SERVER_ID": server_id,
        "AGENTGATE_RESOURCE_SERVER_SECRET": secret,
        "PYTHONPATH": str(HERE.parent / "src"),
    }
    command = [sys.executable, str(HERE / "guarded_services.py"), name, str(port)]
    process = subprocess.Popen(command, env=environment, cwd=HERE)
    try:
        wait_for_port(port, process)
        yield Service(name, port)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.1)
    raise RuntimeError("the service did not start")
