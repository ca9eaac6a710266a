"""Install and start node oidc-provider, the reference outside of Python. It needs npm and the network."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from benchmarks.serving import ROOT, program
from tests.live.oauth.node import INSTALL_SECONDS, node_package

PACKAGES = (f"{node_package()}@22", "oidc-provider@9.13.3", "ioredis@5.9.2")
INTROSPECT = "/token/introspection"


def install(folder: Path) -> Path | None:
    """Install Node and the packages in a new folder. Return the path of Node, or None without npm or network."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    shutil.copy(ROOT / "benchmarks" / "node" / "server.js", folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", *PACKAGES]
    with suppress(subprocess.SubprocessError):
        subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_SECONDS, check=True)
        return folder / "node_modules" / node_package() / "bin" / "node"
    return None


@contextmanager
def served(
    node: Path, redis: str, processes: int, number: int
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
    folder = node.parents[3]
    with program([node, "server.js"], variables, folder / "log", cwd=folder) as (url, pid):
        yield url, pid, _tokens(url, client, number), client


def _tokens(url: str, client: tuple[str, str], number: int) -> list[str]:
    with httpx.Client(base_url=url, auth=client, timeout=30) as http, ThreadPoolExecutor(8) as pool:

        def issue(_: int) -> str:
            answer = http.post("/token", data={"grant_type": "client_credentials", "scope": "email"})
            return str(answer.raise_for_status().json()["access_token"])

        return list(pool.map(issue, range(number)))
