"""A client that starts the gateway as a program, and the user's browser, against a running server."""

import asyncio
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from agentgate_oauth import AgentGateAdmin
from agentgate_oauth.cli.app import run
from agentgate_oauth.gateway import lock
from agentgate_oauth.gateway.config import Limits, Upstream, parse
from agentgate_oauth.gateway.files import Credential, Files, save_credential
from agentgate_oauth.gateway.upstreams import read_definitions
from agentgate_oauth.models import NewResourceServer
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from tests.live.gate import Gate, Person
from tests.live.oauth.services import blocks
from tests.sdk.conftest import SDK
from tests.waiting import wait_until

UPSTREAM = """
import os
from fastmcp import FastMCP

server = FastMCP("Mail")

@server.tool
def read(folder: str) -> str:
    return f"{folder}, read by {os.getpid()}"

@server.tool
def send(to: str) -> str:
    return f"sent to {to}"

server.run(show_banner=False)
"""
CONFIG = """
version: 1
gate: {gate}
name: Mail
identifier: {identifier}
upstreams:
  mail:
    command: [{python}, {upstream}]
    tools:
      read: {{scope: "email:read", risk: standard}}
      send: {{scope: "email:send", risk: high}}
"""
# What `BROWSER` runs: the user allows the scopes in a file, wants to be asked before mails are sent, and approves.
BROWSER = """
import json, os, sys
from pathlib import Path
import httpx

folder = Path(os.environ["BROWSER_FOLDER"])
with (folder / "opened").open("a") as opened:
    print(sys.argv[1], file=opened)
print("a browser that prints")
gate = os.environ["AGENTGATE_URL"] + "/api/v1"
headers = {"Authorization": "Bearer " + (folder / "session").read_text()}
if "/approvals/" in sys.argv[1]:
    httpx.post(gate + "/approvals/" + sys.argv[1].rpartition("/")[2] + "/approve", json={}, headers=headers)
else:
    allowed = (folder / "allowed").read_text().split()
    consent = httpx.get(sys.argv[1]).headers["Location"].rpartition("/")[2]
    asked = {"scopes": allowed, "modes": {"email:send": "ask"} if "email:send" in allowed else {}}
    answer = httpx.post(gate + "/consent/" + consent + "/approve", json=asked, headers=headers)
    httpx.get(answer.json()["redirectUrl"])
"""


@pytest.fixture(scope="module")
def service(admin: AgentGateAdmin) -> NewResourceServer:
    identifier = f"http://127.0.0.1:9000/{secrets.token_hex(4)}"
    return admin.create_resource_server(name="Mail", identifier=identifier, scopes=["email:read", "email:send"])


class User:
    """The user's machine: the gateway's files, and a browser in which they are signed in."""

    def __init__(self, folder: Path, gate: Gate, person: Person, service: NewResourceServer) -> None:
        self.folder, self.files = folder, Files(folder / "gateway.yaml")
        (folder / "upstream.py").write_text(UPSTREAM)
        (folder / "browser.py").write_text(BROWSER)
        (folder / "session").write_text(person.session_token)
        facts = {"gate": gate.url, "identifier": service.identifier, "python": sys.executable}
        self.files.config.write_text(CONFIG.format(**facts, upstream=folder / "upstream.py"))
        save_credential(self.files.credential, Credential(service.id, service.secret))
        upstream = Upstream(command=[sys.executable, str(folder / "upstream.py")])
        lock.save(self.files.lock, {"mail": asyncio.run(read_definitions("mail", upstream, Limits()))})
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SDK / "src"),
            "AGENTGATE_CONFIG_DIR": str(folder / "config"),
            "AGENTGATE_URL": gate.url,
            "BROWSER": f"{sys.executable} {folder / 'browser.py'} %s",
            "BROWSER_FOLDER": str(folder),
        }
        self.changed = 0

    def allow(self, *scopes: str) -> None:
        (self.folder / "allowed").write_text(" ".join(scopes))

    @property
    def opened(self) -> int:
        return len((self.folder / "opened").read_text().splitlines())

    def client(self) -> Client[Any]:
        program = "import sys; from agentgate_oauth.cli import main; sys.argv[0] = 'agentgate'; main()"
        arguments = ["-c", program, "gateway", "run", "--stdio", "--config", str(self.files.config)]
        transport = StdioTransport(
            sys.executable, arguments, env=self.environment, keep_alive=False, log_file=self.folder / "log"
        )
        return Client(transport, mode="legacy", message_handler=self.hear)

    async def hear(self, message: Any) -> None:
        self.changed += isinstance(message, mcp_types.ToolListChangedNotification)


@pytest.fixture
def user(tmp_path: Path, gate: Gate, person: Person, service: NewResourceServer) -> User:
    return User(tmp_path, gate, person, service)


async def names(client: Client[Any]) -> list[str]:
    return [tool.name for tool in await client.list_tools()]


def test_a_client_starts_it_the_user_allows_in_the_browser_and_a_second_program_shares_the_session(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first() -> int:
        async with user.client() as client:
            assert await names(client) == ["request_access"]
            await asyncio.to_thread(wait_until, lambda: user.changed, seconds=15)
            assert await names(client) == ["read", "request_access"]
            read = (await client.call_tool("read", {"folder": "inbox"})).data
            user.allow("email:read", "email:send")
            with pytest.raises(ToolError, match='"missingScopes": \\["email:send"\\]'):
                await client.call_tool("send", {"to": "ada@example.com"})
            allowed = await client.call_tool("request_access", {"tools": ["send"]})
            assert "Allowed now: send" in allowed.content[0].text
            assert await names(client) == ["read", "send"]
            assert (await client.call_tool("send", {"to": "ada@example.com"})).data == "sent to ada@example.com"
            return int(read.rpartition(" ")[2])

    async def second() -> int:
        async with user.client() as client:
            assert await names(client) == ["read", "send"]
            return int((await client.call_tool("read", {"folder": "inbox"})).data.rpartition(" ")[2])

    user.allow("email:read")
    upstreams = [asyncio.run(first()), asyncio.run(second())]
    assert user.opened == 3, "one page at first, one for more, and one to approve what is sent"
    for process in upstreams:
        wait_until(lambda process=process: not Path(f"/proc/{process}").exists())
    kept = list((user.folder / "config" / "gateway").iterdir())
    assert {stat.S_IMODE(one.stat().st_mode) for one in kept} == {0o600}
    log = (user.folder / "log").read_text()
    assert '"event": "call"' in log
    assert "a browser that prints" in log
    assert "eyJ" not in log

    for name, value in user.environment.items():
        monkeypatch.setenv(name, value)
    arguments = ["gateway", "logout", "--config", str(user.files.config), "--json"]
    assert run(arguments) == 0
    assert not list((user.folder / "config" / "gateway").glob("*.json"))


def test_the_example_of_the_guide_is_a_valid_file() -> None:
    (example,) = blocks("gateway.md", "yaml")
    assert list(parse(example, "the guide").upstreams) == ["filesystem", "shop"]
