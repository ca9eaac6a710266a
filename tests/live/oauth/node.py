"""Node programs under test: a Node that is new enough and the packages, installed by name below `var/`."""

import fcntl
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.live.server import ROOT
from tests.programs import skip_without

PROGRAMS = Path(__file__).with_name("programs")
FOLDER = ROOT / "var" / "node"
PACKAGES = {
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/sdk": "1",
    "@modelcontextprotocol/server-everything": "2026",
    "@modelcontextprotocol/server-filesystem": "2026",
    "@modelcontextprotocol/server-memory": "2026",
    "@modelcontextprotocol/server-sequential-thinking": "2026",
    "openid-client": "6.9",
    "standardwebhooks": "1",
}
INSTALL_SECONDS = 300
RUN_SECONDS = 120


def node_package() -> str:
    """Return the name of the package that holds Node for this machine."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), "arm64")
    return f"node-{platform.system().lower()}-{machine}"


def install() -> Path:
    """Install what is missing; return the node program. Without npm or network it skips, and fails in CI."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install()


def _install() -> Path:
    node = FOLDER / "node_modules" / node_package() / "bin" / "node"
    modules = [FOLDER / "node_modules" / name for name in PACKAGES]
    if node.exists() and all(module.exists() for module in modules):
        return node
    if shutil.which("npm") is None:
        skip_without("npm")
    (FOLDER / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    wanted = [f"{node_package()}@22", *(f"{name}@{version}" for name, version in PACKAGES.items())]
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", *wanted]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode or not node.exists():
        skip_without(f"the npm packages in {FOLDER.relative_to(ROOT)}: npm said {done.stderr[-300:]!r}")
    return node


def start(node: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a Node program with the packages in reach; its output is one stream."""
    return subprocess.Popen(
        [node, *arguments],
        cwd=FOLDER,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def program(name: str) -> str:
    """Return the path of one of our programs, copied to where Node finds the packages."""
    copy = FOLDER / name
    shutil.copy(PROGRAMS / name, copy)
    return str(copy)
