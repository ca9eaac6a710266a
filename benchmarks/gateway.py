"""What the gateway adds to a call of a tool: its p50 without that of its verify ÷ that of FastMCP's bare proxy.

All are measured in one run, in turns, with the same kind of upstream: a process over stdio, or an HTTP endpoint.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import results
from benchmarks.machine import describe
from benchmarks.ratios import say
from benchmarks.rounds import Protocol, spread
from benchmarks.serving import ROOT, program
from benchmarks.stores import SETTINGS, Open, Store
from tests.live.gate import Gate, expect
from tests.live.server import Database, LiveServer, manage

SDK = ROOT / "sdk" / "python" / "src"
SCOPE = "files:read"
UPSTREAMS = ("stdio", "http")
# How many calls of each a second of the protocol stands for.
CALLS_PER_SECOND = 50

UPSTREAM = """
import os, sys
from fastmcp import FastMCP
server = FastMCP("Echo")
@server.tool
def echo(text: str) -> str:
    return text
if sys.argv[1] == "stdio":
    server.run(show_banner=False)
else:
    server.run("http", port=int(os.environ["API_PORT"]), show_banner=False, log_level="error")
"""
PROXY = """
import json, os, sys
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy
target = json.loads(sys.argv[1])
target = target if isinstance(target, str) else StdioTransport(target[0], target[1:])
create_proxy(target).run("http", port=int(os.environ["API_PORT"]), show_banner=False, log_level="error")
"""
GATEWAY = """
import os, sys
from agentgate_oauth.cli import main
options = {"--config": sys.argv[1], "--log-level": "error", "--listen": "127.0.0.1:" + os.environ["API_PORT"]}
sys.argv[1:] = ["gateway", "run", *(word for pair in options.items() for word in pair)]
main()
"""


def run(stores: Sequence[str], protocol: Protocol, opened: Open) -> results.Run:
    sys.path.insert(0, str(SDK))
    run = results.start("gateway", describe()) | {"protocol": vars(protocol), "blocks": []}
    for name in stores:
        with opened(name) as store:
            for block in blocks(store, protocol):
                say(f"{name}, {block['upstream']}: {block['ratio']}")
                run["blocks"].append(block)
    return run


def blocks(store: Store, protocol: Protocol) -> Iterator[dict[str, Any]]:
    variables = {**store.empty(), **SETTINGS}
    manage(variables, "migrate", "--verbosity", "0")
    environment = {key: value for key, value in variables.items() if key not in SETTINGS}
    with LiveServer(Database(environment), store.folder, store.processes) as server:
        for kind in UPSTREAMS:
            folder = store.folder / f"gateway-{store.name}-{kind}"
            folder.mkdir()
            with bench(kind, server.url, folder) as parts:
                measured = asyncio.run(measure(*parts, protocol))
            yield {"store": store.name, "upstream": kind, **summary(measured)}


@contextmanager
def bench(kind: str, gate: str, folder: Path) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield the URLs of the gateway and of the bare proxy, a token, and what verify is asked."""
    from agentgate_oauth.gateway import config, lock
    from agentgate_oauth.gateway.files import Credential, Files, save_credential
    from agentgate_oauth.gateway.upstreams import read_definitions

    token, service, identifier = connect(gate)
    with ExitStack() as stack:

        def serve(name: str, text: str, argument: str) -> str:
            command = [sys.executable, "-c", text, argument]
            return stack.enter_context(program(command, {"PYTHONPATH": str(SDK)}, folder / name))[0]

        upstream: dict[str, Any] = {"command": [sys.executable, "-c", UPSTREAM, "stdio"]}
        if kind == "http":
            upstream = {"url": f"{serve('upstream', UPSTREAM, 'http')}/mcp"}
        definitions = asyncio.run(read_definitions("echo", config.Upstream(**upstream), config.Limits()))
        files = Files(folder / "gateway.yaml")
        line = {"scope": SCOPE, "risk": "standard", "context": {"text": {"arguments": ["text"]}}}
        upstreams = {"echo": {**upstream, "tools": {"echo": line}}}
        named = {"version": 1, "gate": gate, "name": "Echo", "identifier": identifier}
        files.config.write_text(json.dumps({**named, "upstreams": upstreams}))
        lock.save(files.lock, {"echo": definitions})
        save_credential(files.credential, Credential(*service))
        bare = serve("bare", PROXY, json.dumps(*upstream.values()))
        gateway = serve("gateway", GATEWAY, str(files.config))
        asked = {"definition": lock.digest(definitions.tools["echo"])}
        about = {"gate": gate, "service": service, "context": asked}
        yield gateway + urlsplit(identifier).path, f"{bare}/mcp", token, about


def connect(url: str) -> tuple[str, tuple[str, str], str]:
    """Return an access token for a new service, the service's credential, and its identifier."""
    gate = Gate(url)
    developer, person = gate.developer(), gate.person()
    agent, identifier = gate.agent(developer, (SCOPE,)), f"http://127.0.0.1:9/{developer.id}/mcp"
    body = {"name": "Echo", "identifier": identifier, "scopes": [SCOPE]}
    made = expect(201, gate.post("/resource-servers", body, **developer.headers))
    code = gate.approve(gate.initiate(agent, (SCOPE,), resource=[identifier]), person)
    token = expect(200, gate.exchange(agent, code))["accessToken"]
    return token, (made["id"], made["secret"]), identifier


async def measure(
    gateway: str, bare: str, token: str, about: Mapping[str, Any], protocol: Protocol
) -> list[dict[str, list[float]]]:
    """Return the seconds of each call of each round."""
    from agentgate_oauth import AsyncAgentGateVerifier
    from agentgate_oauth.gateway.lock import canonical_digest
    from fastmcp import Client

    async with (
        Client(gateway, auth=token) as guarded,
        Client(bare) as unguarded,
        AsyncAgentGateVerifier(about["gate"], *about["service"], allow_http=True) as verifier,
    ):

        async def verify(text: str) -> None:
            context = {"text": text, "arguments": canonical_digest({"text": text}), **about["context"]}
            decision = await verifier.verify(token, (SCOPE,), resource="echo", context={**context, "ip": "127.0.0.1"})
            require(decision.allowed)

        async def call(client: Client[Any], text: str) -> None:
            require((await client.call_tool("echo", {"text": text})).data == text)

        parts = {
            "gateway": lambda text: call(guarded, text),
            "bare": lambda text: call(unguarded, text),
            "verify": verify,
        }
        await in_turns(parts, protocol.warm_up * CALLS_PER_SECOND)
        return [await in_turns(parts, protocol.seconds * CALLS_PER_SECOND) for _ in range(protocol.pairs)]


async def in_turns(parts: Mapping[str, Callable[[str], Awaitable[None]]], number: int) -> dict[str, list[float]]:
    """Do each part this many times, one of each in turn, and return how long each took."""
    found: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(number):
        order = [*parts.items()][:: 1 if turn % 2 else -1]
        for name, act in order:
            began = time.perf_counter()
            await act(f"note {turn}")
            found[name].append(time.perf_counter() - began)
    return found


def require(is_right: object) -> None:
    if is_right is not True:
        raise RuntimeError("A call was not answered rightly.")


def summary(measured: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Any]:
    """Return the medians in milliseconds, and the ratio of the gateway's own cost to the bare proxy."""
    rounds = [{name: 1000 * statistics.median(times) for name, times in one.items()} for one in measured]
    middles = {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}
    return {"p50_ms": middles, "ratio": spread((one["gateway"] - one["verify"]) / one["bare"] for one in rounds)}
