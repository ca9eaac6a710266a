"""What the gateway takes from the process that it is in, and what it writes to its standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import agentgate_oauth

PROGRAM = """
import logging
import fastmcp
from agentgate_oauth.gateway import logs
logs.configure("debug")
for name in ("fastmcp.server.server", "fastmcp", "mcp.server", "uvicorn.error", "agentgate_oauth.gateway"):
    try:
        raise ValueError("secret")
    except ValueError:
        logging.getLogger(name).exception("Failed: %s", "secret" if name.startswith("fastmcp") else "x")
"""


def run(program: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(agentgate_oauth.__file__).parents[1])}
    environment.pop("FASTMCP_ENV_FILE", None)
    command = [sys.executable, "-c", program]
    options: Any = {"capture_output": True, "text": True, "check": True}
    return str(subprocess.run(command, env=environment, cwd=folder, **options).stderr)


def test_each_line_is_json_without_tracebacks_and_without_what_fastmcp_says(tmp_path: Path) -> None:
    # In a process of its own: Python prints what no handler takes, and pytest has one.
    written = run(PROGRAM, tmp_path)
    assert [json.loads(line)["exception"] for line in written.splitlines()] == ["ValueError"] * 3
    assert "secret" not in written


def test_the_current_folder_does_not_configure_the_gateway(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FASTMCP_MASK_ERROR_DETAILS=nonsense")
    run("from agentgate_oauth.gateway import server", tmp_path)
