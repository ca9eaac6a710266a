"""The services of the documentation's pages, run as they stand there, each in a process of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.live.gate import Developer, Gate, Json, expect
from tests.live.server import ROOT
from tests.servers import die_with_parent, free_port

START_SECONDS = 30
TICKETS = [
    {
        "id": "tickets:read",
        "riskLevel": "low",
        "title": "Read your tickets",
        "description": "See your tickets and what was said",
        "cannot": "change or close them",
    },
    {
        "id": "tickets:close",
        "riskLevel": "high",
        "title": "Close your tickets",
        "description": "Mark tickets as done in your name",
        "cannot": "delete them",
    },
]


def code_on(page: str) -> str:
    """Return the Python blocks of a page of the documentation, one after the other."""
    text = (ROOT / "docs" / page).read_text()
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


@contextmanager
def running(command: list[str], environment: dict[str, str], url: str, log: Path) -> Iterator[str]:
    """Run a server until the block ends; yield `url` once anything answers there."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    try:
        _wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the service did not start:\n{log.read_text()[-3000:]}")


@contextmanager
def tickets_over_mcp(gate: Gate, developer: Developer, folder: Path) -> Iterator[str]:
    """Run the service of `docs/protect-fastmcp.md`; yield its address, which is its identifier."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    server = register(gate, developer, url)
    script = folder / f"tickets-{port}.py"
    script.write_text(code_on("protect-fastmcp.md"))
    environment = {**credentials(gate, server), "PORT": str(port)}
    with running([sys.executable, str(script)], environment, url, folder / f"tickets-{port}.log"):
        yield url


def register(gate: Gate, developer: Developer, identifier: str, prefix: str = "tickets") -> Json:
    """Register the service with its scopes, under a prefix that no other organization has."""
    scopes = [{**scope, "id": scope["id"].replace("tickets", prefix)} for scope in TICKETS]
    body = {"name": "Tickets", "identifier": identifier, "scopes": scopes}
    return expect(201, gate.post("/resource-servers", body, **developer.headers))


def credentials(gate: Gate, server: Json) -> dict[str, str]:
    return {
        "AGENTGATE_URL": gate.url,
        "AGENTGATE_RESOURCE_SERVER_ID": server["id"],
        "AGENTGATE_RESOURCE_SERVER_SECRET": server["secret"],
    }
