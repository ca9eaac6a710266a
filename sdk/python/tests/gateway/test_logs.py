"""What the gateway writes to standard error: one JSON object per line, without what callers send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_each_line_is_json_without_tracebacks_and_without_what_fastmcp_says() -> None:
    # In a process of its own: Python prints what no handler takes, and pytest has one.
    environment = {**os.environ, "PYTHONPATH": str(Path(agentgate_oauth.__file__).parents[1])}
    command = [sys.executable, "-c", PROGRAM]
    written = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stderr
    assert [json.loads(line)["exception"] for line in written.splitlines()] == ["ValueError"] * 3
    assert "secret" not in written
