"""The Model Context Protocol's own conformance tests of an authorization server."""

import re
import threading
from pathlib import Path

import httpx
import pytest

from tests.live.gate import Developer, Gate, Person, expect
from tests.live.oauth import node
from tests.live.oauth.door import decide
from tests.servers import free_port

pytestmark = pytest.mark.node

AUTHORIZATION_URL = re.compile(r"https?://\S+/oauth/authorize\?\S+")
PROGRAM = "node_modules/@modelcontextprotocol/conformance/dist/index.js"


@pytest.fixture(scope="session")
def node_program() -> Path:
    return node.install()


def test_every_check_of_the_authorization_suite_passes(
    gate: Gate, developer: Developer, person: Person, node_program: Path
) -> None:
    port, resource = free_port(), f"https://mcp-{free_port()}.example/mcp"
    server = {"name": "Mail", "identifier": resource, "scopes": ["email:read"]}
    expect(201, gate.post("/resource-servers", server, **developer.headers))
    # The suite authenticates with "none" wherever that is offered, so its client is a public one.
    redirect_uris = [f"http://127.0.0.1:{port}/callback"]
    metadata = {"client_name": "Conformance", "redirect_uris": redirect_uris, "token_endpoint_auth_method": "none"}
    client = expect(201, httpx.post(f"{gate.url}/oauth/register", json=metadata))
    arguments = ["--url", f"{gate.url}/oauth", "--client-id", client["client_id"]]
    arguments += ["--resource", resource, "--port", str(port)]

    process = node.start(node_program, PROGRAM, "authorization", *arguments)
    watchdog = threading.Timer(node.RUN_SECONDS, process.kill)
    watchdog.start()
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        for url in AUTHORIZATION_URL.findall(line):
            httpx.get(decide(gate, person, url), timeout=30)
    watchdog.cancel()

    output = "".join(lines)
    assert process.wait() == 0, output
    assert re.search(r"Total: [1-9]\d* passed, 0 failed", output), output
