"""server-filesystem from npm behind the gateway: it reads, asks before it writes, and a policy bounds all its paths."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from agentgate_oauth.gateway import config
from agentgate_oauth.gateway.files import Files
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.live.gate import Gate, Person, expect
from tests.live.oauth import node
from tests.live.server import ROOT
from tests.sdk.conftest import SDK
from tests.sdk.test_command_line import Terminal
from tests.servers import free_port

SERVER = "@modelcontextprotocol/server-filesystem/dist/index.js"
MAIN = "from agentgate_oauth.cli import main; main()"
READ, WRITE = "files:read", "files:write"
PATHS = {"move_file": ("source", "destination"), "read_multiple_files": ("paths",), "list_allowed_directories": ()}
WRITING = {"write_file", "edit_file", "create_directory", "move_file"}
# What each tool needs besides its paths.
MORE: Mapping[str, dict[str, Any]] = {
    "write_file": {"content": "x"},
    "edit_file": {"edits": [{"oldText": "a", "newText": "b"}]},
    "search_files": {"pattern": "*"},
}


class Notes:
    """The gateway before a folder of notes, as a process. `seen` are the calls that reached the upstream."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self.folder, self.root = folder, folder / "notes"
        for name in ("drafts/a.md", "drafts/my notes.md", "secret/b.md", "drafts2/c.md", "../notes2/d.md"):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"text of {path.name}")
        (self.root / "drafts" / "link.md").symlink_to(folder / "notes2" / "d.md")
        self.gate, self.developer, self.port = gate, gate.developer(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.log = folder / "seen"
        self.log.touch()
        self.files = Files(folder / "gateway.yaml")

    def init(self) -> None:
        """Write the files with the command line. Then put a log of what the gateway sends before the upstream."""
        modules = node.FOLDER / "node_modules"
        program = [str(modules / node.node_package() / "bin" / "node"), str(modules / SERVER), str(self.root)]
        options = ("--prefix", "filesystem", "--name", "Notes", "--identifier", self.url, "--yes")
        terminal = Terminal(self.folder, AGENTGATE_URL=self.gate.url, AGENTGATE_API_KEY=self.developer.api_key)
        terminal.run("gateway", "init", *options, "--", *program)
        written = config.load(self.files.config)
        (self.prefix,) = written.upstreams
        logged = ["sh", "-c", 'log=$1; shift; tee -a "$log" | "$@"', "sh", str(self.log), *program]
        upstream = written.upstreams[self.prefix].model_copy(update={"command": logged})
        self.files.config.write_text(config.dump(written.model_copy(update={"upstreams": {self.prefix: upstream}})))
        self.lines = upstream.tools

    def seen(self) -> list[str]:
        messages = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [json.dumps(one["params"]) for one in messages if one.get("method") == "tools/call"]

    def client(self, person: Person, mode: str = "allow") -> Client[Any]:
        """Return a client that claims other roots, which must not become those of the upstream."""
        scopes = tuple({line.scope for line in self.lines.values()})
        agent = self.gate.agent(self.developer, scopes)
        asked = self.gate.initiate(agent, scopes, resource=[self.url])
        code = self.gate.approve(asked, person, modes={scope: mode for scope in scopes if scope != READ})
        token = expect(200, self.gate.exchange(agent, code))["accessToken"]
        return Client(self.url, auth=token, mode="legacy", roots=[self.folder.as_uri()])

    async def decide(self, person: Person, act: str) -> None:
        while not (found := self.gate.get("/approvals?status=pending", **person.headers).json()["items"]):
            await asyncio.sleep(0.05)
        for one in found:
            expect(200, self.gate.post(f"/approvals/{one['id']}/{act}", **person.headers))


@pytest.fixture(scope="module")
def notes(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notes]:
    node.install()
    notes = Notes(tmp_path_factory.mktemp("gateway"), gate)
    notes.init()
    command = [sys.executable, "-c", MAIN, "gateway", "run", "--config", str(notes.files.config)]
    environment = {**os.environ, "PYTHONPATH": str(SDK / "src")}
    with (notes.folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    assert "listens on" in process.stdout.readline(), (notes.folder / "log").read_text()
    yield notes
    process.terminate()
    assert process.wait(30) == 0


def test_init_proposes_scopes_and_maps_every_path(notes: Notes) -> None:
    assert {name for name, line in notes.lines.items() if line.asks} == WRITING
    scopes = {name: line.scope for name, line in notes.lines.items()}
    own = {"move_file": "filesystem:move_file", **dict.fromkeys(WRITING - {"move_file"}, WRITE)}
    assert scopes == {**dict.fromkeys(scopes, READ), **own}
    for name, line in notes.lines.items():
        paths = PATHS.get(name, ("path",))
        mapped = line.context.target
        assert ((*mapped.arguments,) if mapped else ()) == paths
        assert mapped is None or mapped.kind == "path"


async def test_it_reads_and_asks_before_it_writes(notes: Notes, person: Person) -> None:
    before = len(notes.seen())
    async with notes.client(person, "ask") as client:
        for path in ("drafts/a.md", "./drafts//a.md", f"{notes.root}/drafts/a.md"):
            read = await client.call_tool("read_text_file", {"path": path})
            assert read.content[0].text == "text of a.md"
        write = {"path": "drafts/new.md", "content": "Hello"}
        calling = asyncio.create_task(client.call_tool("write_file", write))
        await notes.decide(person, "approve")
        await calling
        assert (notes.root / "drafts" / "new.md").read_text() == "Hello"
        assert len(notes.seen()) == before + 4, "it was written once"
        for other in (write, {**write, "content": "Another"}):
            calling = asyncio.create_task(client.call_tool("write_file", other))
            await notes.decide(person, "deny")
            with pytest.raises(ToolError, match="approval"):
                await calling
    assert len(notes.seen()) == before + 4
    assert json.loads(notes.seen()[-1])["arguments"]["path"] == f"{notes.root}/drafts/new.md"


SPELLINGS = (
    *("..", "drafts/../../notes2/d.md", "/etc/passwd", "{root}2/d.md", "{root}/../notes2/d.md"),
    *("{root}", ".", "", "{root}/secret/b.md", "drafts2/c.md", "DRAFTS/a.md", "drafts/../secret/b.md"),
    *("%2e%2e/notes2/d.md", "drafts/%2e%2e%2fsecret", "..%2fnotes2", "%252e%252e/notes2", "..\\notes2\\d.md"),
    *("~/notes", "~", "\uff0e\uff0e/notes2", "drafts\uff0f..\uff0fsecret", "\u2025/notes2", "drafts/\x00/a.md"),
    *("file:///etc/passwd", " drafts/a.md", "drafts/a.md ", "drafts/\u200ba.md", "x" * 5000, "drafts/" + "x/" * 3000),
)


@pytest.fixture(scope="module")
def bounded(notes: Notes) -> None:
    """Put the policy of the documentation into force."""
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "gateway.md").read_text(), re.DOTALL)
    (text,) = [each for each in blocks if "context_match" in each]
    rule = json.loads(text)
    notes.gate.policy(notes.developer, rule["type"], **rule["config"])


@pytest.mark.usefixtures("bounded")
async def test_a_policy_bounds_every_path_of_every_tool_before_the_upstream_sees_it(
    notes: Notes, person: Person
) -> None:
    before, tried = notes.seen(), 0
    async with notes.client(person) as client:
        tools = [one for one in await client.list_tools() if one.name != "request_access"]
        for tool in tools:
            paths = PATHS.get(tool.name, ("path",))
            wrongs = SPELLINGS if tool.name == "read_text_file" else ("../notes2/d.md", "secret/b.md")
            for wrong in (one.format(root=notes.root) for one in wrongs):
                for name in paths:
                    right = {each: "drafts/a.md" for each in paths if each != name}
                    value = ["drafts/a.md", wrong] if name == "paths" else wrong
                    with pytest.raises(ToolError):
                        await client.call_tool(tool.name, {**MORE.get(tool.name, {}), **right, name: value})
                    tried += 1
        with pytest.raises(ToolError, match="policy_denied"):
            await client.call_tool("list_allowed_directories", {})
        with pytest.raises(ToolError, match="context: Must be at most 16384 bytes"):
            await client.call_tool("read_multiple_files", {"paths": ["drafts/a.md"] * 1500})
        assert notes.seen() == before
        assert (len(tools), tried) == (14, len(SPELLINGS) + 2 * 13)
        listed = await client.call_tool("list_directory", {"path": "drafts"})
        assert "a.md" in listed.content[0].text
        spaced = await client.call_tool("read_text_file", {"path": "drafts/my notes.md"})
        assert spaced.content[0].text == "text of my notes.md"
        moved = {"source": "drafts/a.md", "destination": "drafts/moved.md"}
        await client.call_tool("move_file", moved)
        await client.call_tool("move_file", {"source": "drafts/moved.md", "destination": "drafts/a.md"})
        link = await client.call_tool("read_text_file", {"path": "drafts/link.md"}, raise_on_error=False)
        assert "outside allowed directories" in link.content[0].text, "links are the upstream's"
    assert len(notes.seen()) == len(before) + 5
