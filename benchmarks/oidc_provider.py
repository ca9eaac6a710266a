"""Install and start node oidc-provider, the reference outside of Python. Node and npm are optional."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.serving import ROOT, program
from tests.live.oauth.node import node_package

SOURCE = ROOT / "benchmarks" / "node"
FOLDER = ROOT / "var" / "benchmarks-node"
OLDEST_NODE = 22
INTROSPECT = "/token/introspection"
INSTALL_SECONDS = 300


def problem() -> str | None:
    """Install what is missing. Return why oidc-provider cannot run here, or None."""
    if shutil.which("npm") is None:
        return "npm is missing: install the packages nodejs and npm"
    wanted = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    if all(_installed(name) == version for name, version in wanted.items()) and _node():
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE / "package.json", FOLDER)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    if not _node():
        command += ["--no-save", f"{node_package()}@{OLDEST_NODE}"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        return f"npm failed: {done.stderr[-300:]}"
    return None if _node() else f"Node {OLDEST_NODE} or newer is missing"


@contextmanager
def served(
    folder: Path, number: int, *, redis: str = "", processes: int = 1
) -> Iterator[tuple[str, int, list[str], tuple[str, str]]]:
    """Run the server. Yield its URL, process id, this number of live tokens, and the caller's credential."""
    client = "service", secrets.token_urlsafe(32)
    variables = {
        "NODE_ENV": "production",
        "CLIENT_ID": client[0],
        "CLIENT_SECRET": client[1],
        "REDIS_URL": redis,
        "WEB_CONCURRENCY": str(processes),
    }
    shutil.copy(SOURCE / "server.js", FOLDER)
    log = folder / f"oidc-{processes}.log"
    with program([_node(), "server.js"], variables, log, cwd=FOLDER) as (url, pid):
        yield url, pid, _tokens(url, client, number), client


def _tokens(url: str, client: tuple[str, str], number: int) -> list[str]:
    with httpx.Client(base_url=url, auth=client, timeout=30) as http, ThreadPoolExecutor(8) as pool:

        def issue(_: int) -> str:
            answer = http.post("/token", data={"grant_type": "client_credentials", "scope": "email"})
            return str(answer.raise_for_status().json()["access_token"])

        return list(pool.map(issue, range(number)))


def _node() -> str:
    """Return the path of a Node that is new enough, or an empty string."""
    candidates = [shutil.which("node"), str(FOLDER / "node_modules" / node_package() / "bin" / "node")]
    return next((path for path in candidates if path and os.path.exists(path) and _version(path) >= OLDEST_NODE), "")


def _version(path: str) -> int:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return int(done.stdout.strip().removeprefix("v").partition(".")[0] or 0)


def _installed(name: str) -> str:
    path = FOLDER / "node_modules" / name / "package.json"
    return str(json.loads(path.read_text())["version"]) if path.exists() else ""
