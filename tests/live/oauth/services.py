"""The services of the documentation's pages, run as they stand there, each in a process of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.clean_environment import SDK
from tests.live.gate import Developer, Gate
from tests.live.server import ROOT
from tests.servers import die_with_parent, free_port

START_SECONDS = 30
AGENT = "# agent.py\n"


def code_on(page: str) -> str:
    """Return the Python blocks of a page's service, one after the other."""
    return "\n\n".join(block for block in blocks(page, "python") if not block.startswith(AGENT))


def agent_on(page: str) -> str:
    """Return the program of a page's agent."""
    (block,) = [block for block in blocks(page, "python") if block.startswith(AGENT)]
    return block


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


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
    server = register(gate, developer, "protect-fastmcp.md", url)
    script = folder / f"tickets-{port}.py"
    script.write_text(code_on("protect-fastmcp.md"))
    environment = {**server, "PORT": str(port), "PYTHONPATH": str(SDK / "src")}
    with running([sys.executable, str(script)], environment, url, folder / f"tickets-{port}.log"):
        yield url


def register(gate: Gate, developer: Developer, page: str, identifier: str, prefix: str = "tickets") -> dict[str, str]:
    """Run the page's commands, and return the variables that they export; a prefix belongs to one organization."""
    (script,) = [block for block in blocks(page, "sh") if "resource-servers create" in block]
    script = re.sub(r"http://127\.0\.0\.1:[^ ]+", identifier, script).replace('"tickets:', f'"{prefix}:')
    script = f'set -eu\n{script}echo "$AGENTGATE_RESOURCE_SERVER_ID $AGENTGATE_RESOURCE_SERVER_SECRET"'
    with TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PATH": f"{command_line(Path(folder))}:{os.environ['PATH']}",
            "AGENTGATE_URL": gate.url,
            "AGENTGATE_API_KEY": developer.api_key,
        }
        ran = subprocess.run(
            ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    server_id, secret = ran.stdout.split()
    return {
        "AGENTGATE_URL": gate.url,
        "AGENTGATE_RESOURCE_SERVER_ID": server_id,
        "AGENTGATE_RESOURCE_SERVER_SECRET": secret,
    }


def command_line(folder: Path) -> Path:
    """Write the command `agentgate` of this checkout's SDK, and return its folder, for `PATH`."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    run = f"PYTHONPATH={SDK / 'src'} exec {sys.executable} -c 'from agentgate_oauth.cli import main; main()'"
    (programs / "agentgate").write_text(f'#!/bin/sh\n{run} "$@"\n')
    (programs / "agentgate").chmod(0o755)
    return programs
