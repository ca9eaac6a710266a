"""A gateway in a process of its own, in front of an MCP server, with a resource server at a running AgentGate."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.live.gate import Agent, Developer, Gate, Json, Person, expect
from tests.live.server import ROOT
from tests.servers import die_with_parent, free_port

NOTES = Path(__file__).parent / "programs" / "notes.py"
MAIN = "from agentgate_oauth.cli import main; main()"
START_SECONDS = 30


class GatewayProcess:
    """A running gateway. Its own scopes begin with `prefix`, which belongs to the developer's organization."""

    def __init__(self, gate: Gate, developer: Developer, prefix: str, folder: Path, url: str) -> None:
        self.gate, self.developer, self.prefix, self.folder, self.url = gate, developer, prefix, folder, url
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    def scopes(self, *names: str) -> tuple[str, ...]:
        return tuple(f"{self.prefix}:{name}" for name in names)

    def token(self, person: Person, *names: str, agent: Agent | None = None, **approval: Any) -> str:
        """Return an access token for the gateway, with its scopes of these names."""
        scopes = self.scopes(*names)
        agent = agent or self.agent(*names)
        consent = self.gate.initiate(agent, scopes, resource=self.url)
        code = self.gate.approve(consent, person, **{"modes": dict.fromkeys(scopes, "allow"), **approval})
        return str(expect(200, self.gate.exchange(agent, code))["accessToken"])

    def agent(self, *names: str) -> Agent:
        return self.gate.agent(self.developer, self.scopes(*names))

    def log(self) -> list[Json]:
        lines = (self.folder / "gateway.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def calls(self) -> list[Json]:
        return [line for line in self.log() if line["event"] == "call"]

    def start(self, *options: str) -> None:
        command = [sys.executable, "-c", MAIN, "gateway", "run", "--config", str(self.config), *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk" / "python" / "src")}
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                httpx.get(self.url.removesuffix("/mcp") + "/health", timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"the gateway did not start:\n{(self.folder / 'gateway.log').read_text()[-3000:]}")

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)


def tool(scope: str, **more: Any) -> Json:
    return {"scope": scope, "risk": "standard", **more}


def upstream_of_notes(prefix: str) -> Json:
    """Return the part of gateway.yaml for the server that keeps notes."""
    read, write, pay = f"{prefix}:read", f"{prefix}:write", f"{prefix}:pay"
    amount = {"argument": "amount", "currency": "EUR"}
    return {
        "command": [sys.executable, str(NOTES)],
        "tools": {
            "read_note": tool(read, labels=["private", "untrusted"], context={"target": {"arguments": ["name"]}}),
            "process": tool(read),
            "count": tool(read),
            "big": tool(read),
            "fail": tool(read),
            "write_note": tool(write, asks=True, labels=["outbound"], context={"target": {"arguments": ["name"]}}),
            "pay": tool(
                pay,
                risk="critical",
                context={"recipient": {"arguments": ["to"]}, "amount": amount},
                final_amount="total",
            ),
        },
        "resources": {"notes://index": tool(read), "notes://note/*": tool(read)},
        "prompts": {"summarize": tool(read)},
    }


@contextmanager
def gateway_process(
    gate: Gate,
    developer: Developer,
    folder: Path,
    *options: str,
    limits: Json | None = None,
    upstreams: Callable[[str], Json] = lambda prefix: {"notes": upstream_of_notes(prefix)},
) -> Iterator[GatewayProcess]:
    """Register a resource server, write the gateway's files, and run it until the block ends."""
    from agentgate_oauth.gateway import lock
    from agentgate_oauth.gateway.config import dump, parse
    from agentgate_oauth.gateway.files import Credential, Files, save_credential

    folder.mkdir(exist_ok=True)
    prefix, url = f"notes{secrets.token_hex(4)}", f"http://127.0.0.1:{free_port()}/mcp"
    gateway = GatewayProcess(gate, developer, prefix, folder, url)
    document = {
        "version": 1,
        "gate": gate.url,
        "name": "Notes",
        "identifier": url,
        "upstreams": upstreams(prefix),
        "limits": {"approval_seconds": 10.0, **(limits or {})},
    }
    config = parse(json.dumps(document), "gateway.yaml")
    files = Files(gateway.config)
    files.config.write_text(dump(config))
    lock.save(files.lock, asyncio.run(read_all(config.upstreams, config.limits)))
    registered = expect(
        201,
        gate.post(
            "/resource-servers",
            {"name": "Notes", "identifier": url, "scopes": [_own(prefix, name) for name in ("read", "write", "pay")]},
            **developer.headers,
        ),
    )
    save_credential(files.credential, Credential(registered["id"], registered["secret"]))
    gateway.start(*options)
    try:
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.stop()


async def read_all(upstreams: Mapping[str, Any], limits: Any) -> dict[str, Any]:
    """Return what each upstream offers."""
    from agentgate_oauth.gateway.upstreams import read_definitions

    found = await asyncio.gather(*(read_definitions(name, one, limits) for name, one in upstreams.items()))
    return dict(zip(upstreams, found, strict=True))


def _own(prefix: str, name: str) -> Json:
    return {
        "id": f"{prefix}:{name}",
        "riskLevel": "standard",
        "title": f"{name} notes",
        "description": f"{name} your notes",
        "cannot": "do more",
        "reversible": True,
    }
