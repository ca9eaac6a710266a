"""Servers from npm and PyPI give through the gateway what they give without, to both clients and in both eras."""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.environment import Servers
from tests.live.gate import Developer, Gate, Json, Person
from tests.live.gateway.pypi import calculator
from tests.live.gateway.served import GatewayProcess, gateway_process, tool, upstream_of_notes
from tests.live.oauth import node
from tests.live.server import LiveServer
from tests.servers import die_with_parent, free_port

pytestmark = pytest.mark.node

# Times of day, and ids of sessions and elicitations.
WHAT_DIFFERS = re.compile(r"\d+:\d\d:\d\d [AP]M|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|undefined")
PROGRAM = Path(__file__).parent / "programs" / "calls.mjs"
TOOLS: list[tuple[str, Json]] = [
    ("echo", {"message": "x" * 1_000_000}),
    ("echo", {}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-resource-links", {"count": 3}),
    ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
    ("get-structured-content", {"location": "New York"}),
    ("get-sum", {"a": 1, "b": 2}),
    ("get-sum", {"a": "no number"}),
    ("get-tiny-image", {}),
    ("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hi", "outputType": "resource"}),
    ("gzip-file-as-resource", {"name": "b.gz", "data": "data:text/plain,hi"}),
    ("simulate-research-query", {"topic": "x"}),
    ("toggle-simulated-logging", {}),
    ("toggle-subscriber-updates", {}),
    ("trigger-long-running-operation", {"duration": 0.4, "steps": 4}),
]
# The 2026-07-28 protocol has no requests by servers, so these tools need a client of the handshake era.
ASKING_TOOLS: list[tuple[str, Json]] = [
    ("trigger-elicitation-request", {}),
    ("trigger-sampling-request", {"prompt": "hello"}),
    ("trigger-url-elicitation", {"url": "https://example.com/", "elicitationId": "e1"}),
    ("trigger-url-elicitation", {"url": "https://example.com/", "elicitationId": "e2", "errorPath": True}),
]
RESOURCES = [
    "demo://resource/static/document/features.md",
    "demo://resource/dynamic/text/1",
    "demo://resource/dynamic/blob/2",
]
PROMPTS: list[tuple[str, Json]] = [
    ("simple-prompt", {}),
    ("args-prompt", {"city": "Paris"}),
    ("resource-prompt", {"resourceType": "Text", "resourceId": "1"}),
]
MEMORY: list[tuple[str, Json]] = [
    ("create_entities", {"entities": [{"name": "Ada", "entityType": "person", "observations": ["writes"]}]}),
    ("read_graph", {}),
    ("search_nodes", {"query": "writes"}),
]
FILES: list[tuple[str, Json]] = [
    ("write_file", {"path": "a.txt", "content": "hello"}),
    ("read_text_file", {"path": "a.txt"}),
    ("list_directory", {"path": "."}),
    ("edit_file", {"path": "a.txt", "edits": [{"oldText": "hello", "newText": "bye"}], "dryRun": True}),
    ("read_text_file", {"path": "missing.txt"}),
    ("list_allowed_directories", {}),
]
THINKING: list[tuple[str, Json]] = [
    ("sequentialthinking", {"thought": "x", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}),
]
CALCULATOR: list[tuple[str, Json]] = [
    ("calculate", {"expression": "2 ** 10 + sqrt(2)"}),
    ("calculate", {"expression": "1 / 0"}),
]


class Npm:
    """Servers from npm, one of which is also served over HTTP at `url`, and one from PyPI."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.program, self.folder, self.port = program, folder, port
        self.url = f"http://127.0.0.1:{port}/mcp"
        (folder / "files").mkdir(parents=True)
        (folder / "memory").write_text(str(folder / "memory.jsonl"))

    def command(self, name: str, *arguments: str) -> list[str]:
        script = node.FOLDER / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
        return [str(self.program), str(script), *arguments]

    def config(self, prefix: str) -> Json:
        read = tool(f"{prefix}:read")
        everything = {name: read for name, _ in [*TOOLS, *ASKING_TOOLS]}
        return {
            "everything": {
                "command": self.command("everything"),
                "tools": everything,
                "resources": {"demo://resource/**": read},
                "prompts": {name: read for name, _ in PROMPTS},
            },
            "remote": {"url": self.url, "prefixed": True, "tools": everything},
            "filesystem": {
                "command": self.command("filesystem", str(self.folder / "files")),
                "tools": {name: read for name, _ in FILES},
            },
            "memory": {
                "command": self.command("memory"),
                "environment_files": {"MEMORY_FILE_PATH": str(self.folder / "memory")},
                "tools": {name: read for name, _ in MEMORY},
            },
            "thinking": {
                "command": self.command("sequential-thinking"),
                "tools": {name: read for name, _ in THINKING},
            },
            "calculator": {"command": calculator(), "tools": {name: read for name, _ in CALCULATOR}},
            "notes": upstream_of_notes(prefix),
        }

    def serve(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command("everything", "streamableHttp"),
            env={**os.environ, "PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(self.url)
                return process
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("server-everything did not start")


@pytest.fixture(scope="module")
def npm(servers: Servers) -> Iterator[Npm]:
    npm = Npm(node.install(), servers.folder / "npm", free_port())
    process = npm.serve()
    try:
        yield npm
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def gateway(server: LiveServer, servers: Servers, gateway_developer: Developer, npm: Npm) -> Iterator[GatewayProcess]:
    folder = servers.folder / "gateway-npm"
    with gateway_process(Gate(server.url), gateway_developer, folder, upstreams=npm.config) as gateway:
        yield gateway


class Heard:
    """A client with what it was asked and told, and what came back."""

    def __init__(self, target: Any, mode: str, token: str | None = None) -> None:
        from fastmcp import Client

        self.told: list[Any] = []
        self.client: Any = Client(
            target,
            mode=mode,
            auth=token,
            elicitation_handler=self._elicit,
            sampling_handler=self._sample,
            progress_handler=self._progress,
        )

    async def _elicit(self, message: str, kind: Any, params: Any, context: Any) -> Any:
        from fastmcp.client.elicitation import ElicitResult

        self.told.append(params.model_dump(mode="json"))
        return ElicitResult(action="accept", content={"name": "Ada", "integer": 7} if params.mode == "form" else None)

    async def _sample(self, messages: Any, params: Any, context: Any) -> str:
        self.told.append([message.model_dump(mode="json") for message in messages])
        return "sampled"

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message))

    async def calls(self, calls: list[tuple[str, Json]], prefix: str = "") -> list[Any]:
        return [await self._result(self.client.call_tool_mcp(prefix + name, given)) for name, given in calls]

    async def reads(self) -> list[Any]:
        found = [await self._result(self.client.read_resource_mcp(uri)) for uri in RESOURCES]
        return found + [await self._result(self.client.get_prompt_mcp(name, given)) for name, given in PROMPTS]

    async def _result(self, calling: Any) -> Any:
        from mcp import MCPError

        try:
            document = (await calling).model_dump(mode="json", by_alias=True, exclude_none=True)
        except MCPError as error:
            return error.error.code, error.error.message
        document.get("_meta", {}).pop("io.modelcontextprotocol/serverInfo", None)
        return json.loads(WHAT_DIFFERS.sub("", json.dumps(_decoded(document))))


def _decoded(document: Any) -> Any:
    """Decode what is Base64, because a time can be in it."""
    if isinstance(document, list):
        return [_decoded(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {
        key: base64.b64decode(value).decode("latin-1") if key == "blob" else _decoded(value)
        for key, value in document.items()
        if key != "_meta" or value
    }


async def heard(client: Heard, prefix: str, asks: bool, reads: bool) -> list[Any]:
    async with client.client:
        found = await client.calls([*TOOLS, *(ASKING_TOOLS if asks else [])], prefix)
        return [*found, *(await client.reads() if reads else []), client.told]


async def test_server_everything_gives_the_same(gateway: GatewayProcess, person: Person, npm: Npm) -> None:
    from fastmcp.client.transports import StdioTransport

    token = gateway.token(person, "read")
    program, *arguments = npm.command("everything")
    direct, remote, old, old_remote, new, new_remote = await asyncio.gather(
        heard(Heard(StdioTransport(program, arguments), "legacy"), "", asks=True, reads=True),
        heard(Heard(npm.url, "legacy"), "", asks=True, reads=False),
        heard(Heard(gateway.url, "legacy", token), "", asks=True, reads=True),
        heard(Heard(gateway.url, "legacy", token), "remote_", asks=True, reads=False),
        heard(Heard(gateway.url, "auto", token), "", asks=False, reads=True),
        heard(Heard(gateway.url, "auto", token), "remote_", asks=False, reads=False),
    )
    assert old == direct
    assert old_remote == remote
    steps = [one for one in direct[-1] if isinstance(one, tuple)]
    assert new == [*direct[: len(TOOLS)], *direct[len(TOOLS) + len(ASKING_TOOLS) : -1], steps]
    assert new_remote == [*remote[: len(TOOLS)], steps]


async def test_the_other_servers_give_the_same(gateway: GatewayProcess, person: Person, npm: Npm) -> None:
    from fastmcp.client.transports import StdioTransport

    direct = []
    memory = {"MEMORY_FILE_PATH": str(npm.folder / "other.jsonl")}
    for command, calls in [
        (npm.command("filesystem", str(npm.folder / "files")), FILES),
        (npm.command("memory"), MEMORY),
        (npm.command("sequential-thinking"), THINKING),
        (calculator(), CALCULATOR),
    ]:
        program, *given = command
        client = Heard(StdioTransport(program, given, env=memory), "legacy")
        async with client.client:
            direct += await client.calls(calls)
    through = Heard(gateway.url, "auto", gateway.token(person, "read"))
    async with through.client:
        assert await through.calls([*FILES, *MEMORY, *THINKING, *CALCULATOR]) == direct


async def test_the_official_client_gets_the_same(gateway: GatewayProcess, person: Person, npm: Npm) -> None:
    token = gateway.token(person, "read")
    direct, through = await asyncio.gather(
        asyncio.to_thread(run, npm, npm.url, ""),
        asyncio.to_thread(run, npm, gateway.url, "remote_", token),
    )
    assert through == direct
    assert direct["progress"] == [[1, 4], [2, 4], [3, 4], [4, 4]]


def run(npm: Npm, *arguments: str) -> Json:
    program = node.FOLDER / PROGRAM.name
    shutil.copy(PROGRAM, program)
    process = node.start(npm.program, str(program), *arguments)
    output, _ = process.communicate(timeout=node.RUN_SECONDS)
    assert process.returncode == 0, output[-3000:]
    return dict(json.loads(next(line for line in output.splitlines() if line.startswith("RESULT "))[7:]))


async def test_parallel_calls_of_two_users_stay_apart(gateway: GatewayProcess, gate: Gate) -> None:
    agent = gateway.agent("read", "write")
    clients = [
        Heard(gateway.url, mode, gateway.token(gate.person(), "read", "write", agent=agent))
        for mode in ("auto", "legacy")
    ]

    async def call(client: Heard, number: int) -> None:
        if number % 2:
            answer = await client.client.call_tool("echo", {"message": f"{id(client)}-{number}"})
            assert answer.content[0].text == f"Echo: {id(client)}-{number}"
        else:
            answer = await client.client.call_tool("read_note", {"name": "mine"})
            assert answer.data == {"name": "mine", "text": str(id(client))}

    async with clients[0].client, clients[1].client:
        for one in clients:
            await one.client.call_tool("write_note", {"name": "mine", "text": str(id(one))})
        await asyncio.gather(*(call(client, number) for client in clients for number in range(25)))
        processes = [(await one.client.call_tool("process", {})).data["pid"] for one in clients]
    assert processes[0] != processes[1]
