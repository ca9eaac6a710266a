"""The demo's child processes, started and stopped together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from demo.environment import FOLDER, ROOT

START_SECONDS = 60
STOP_SECONDS = 15
PYTHON = sys.executable
WORKER = [PYTHON, "-m", "server.worker", "--concurrency", "2", "--loglevel", "WARNING"]


class Processes:
    """Child processes in separate sessions, so that Ctrl-C reaches only the demo, which stops them in order."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, log: str | None = None, **environment: str) -> subprocess.Popen[bytes]:
        """Start a child process. Its output goes to `log` in the demo's folder, or by default to the terminal."""
        output = log_path(log).open("ab") if log else None
        child = subprocess.Popen(  # noqa: S603  our own commands
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self.running.append(child)
        return child

    def stop(self) -> None:
        """Terminate all children, newest first, and kill those that have not ended after 15 seconds."""
        for child in reversed(self.running):
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.running:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
        self.running.clear()


def log_path(name: str) -> Path:
    return FOLDER / f"{name}.log"


def wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return once the server responds. Raises `RuntimeError` with the end of its log if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/api/v1/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"The server did not start:\n{log_path('server').read_text(errors='replace')[-2000:]}")
