"""An MCP server from PyPI: made with FastMCP, in the version of the mcp package that it asks for."""

import fcntl
import subprocess
import sys

from tests.live.server import ROOT
from tests.programs import skip_without

FOLDER = ROOT / "var" / "pypi"
PACKAGE = "mcp-server-calculator==0.2.1"
INSTALL_SECONDS = 120


def calculator() -> list[str]:
    """Return the command of the server, which is installed if it is missing. Without network it skips."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "mcp_server_calculator").exists():
            _install()
    return ["env", f"PYTHONPATH={FOLDER}", sys.executable, "-m", "mcp_server_calculator"]


def _install() -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(FOLDER), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        skip_without(f"{PACKAGE} in {FOLDER.relative_to(ROOT)}: pip said {done.stderr[-300:]!r}")
