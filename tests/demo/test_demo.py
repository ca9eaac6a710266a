"""`./dev demo`, from the first start to Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests import production
from tests.live.server import ROOT
from tests.migrated import copy_migrated
from tests.servers import die_with_parent, free_port

pytestmark = pytest.mark.live
TIMEOUT_SECONDS = 60


class Demo:
    """A running demo, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, url: str) -> None:
        self.process, self.output, self.url = process, output, url

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what was printed."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.text()):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{pattern} was not printed:\n{self.text()}")

    def call(self, path: str, body: object, token: str = "") -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.post(f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process runs. A zombie does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Start the demo in this test's folder, and stop it with Ctrl-C.

    Its database has the tables, because migrating takes seconds.
    """
    copy_migrated(tmp_path / "demo.db")
    port, output = free_port(), tmp_path / "output"
    environment = {name: value for name, value in os.environ.items() if "SECRET" not in name}
    environment |= {"DEMO_FOLDER": str(tmp_path / "demo"), "DATABASE_PATH": str(tmp_path / "demo.db")}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [production.python(), "-m", "demo"],
            cwd=ROOT,
            env={**environment, "API_PORT": str(port), "PAUSE_SECONDS": "0.2"},
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent,
        )
    try:
        yield Demo(process, output, f"http://localhost:{port}")
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 0
        assert [child for child in children if is_alive(child)] == []


def test_the_agent_acts_until_it_is_revoked(demo: Demo) -> None:
    password = demo.wait_for(r"ada@example\.com +(\S+)")[1]
    consent = demo.wait_for(r"/consent/(cns_\w+)")[1]
    ada = demo.call("/users/login", {"email": "ada@example.com", "password": password})["sessionToken"]

    approved = demo.call(f"/consent/{consent}/approve", {"scopes": ["email:read", "calendar:freebusy"]}, ada)
    httpx.get(approved["redirectUrl"])

    demo.wait_for(r"read-mail +allowed")
    demo.wait_for(r"send-mail +denied: insufficient_scope")
    demo.wait_for(r"denied: policy_denied, by the policy “Ten per minute”")
    demo.call(f"/users/me/consents/{consent}/revoke", {}, ada)
    demo.wait_for(r"Access has ended \(consent_revoked\)\. Stopping")
    assert demo.process.poll() is None
    assert "Traceback" not in demo.text()


def test_a_port_that_is_in_use_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert end_with(tmp_path, str(port)).startswith(f"demo: port {port} is in use; ")


def test_a_port_that_is_not_a_number_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    assert end_with(tmp_path, "eight") == "agentgate: API_PORT must be a whole number between 1 and 65535\n"


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_arguments_are_refused(command: str) -> None:
    """Not ignored: `./dev serve --port 9000` would listen on another port."""
    done = subprocess.run([ROOT / "dev", command, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"dev: {command} takes no arguments; ")


def end_with(folder: Path, port: str) -> str:
    """Return the single line that the demo prints before it exits."""
    environment = {**os.environ, "DEMO_FOLDER": str(folder), "API_PORT": port}
    command = [production.python(), "-m", "demo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    return done.stderr
