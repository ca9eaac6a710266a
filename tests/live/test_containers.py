"""The commands of `compose.yaml` and the `Dockerfile`, run unchanged with real processes.

Those that copy the volume, in `docs/deployment.md`, are run without a container.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from server.heartbeat import HEARTBEAT_LIFETIME
from tests import production
from tests.containers import COMPOSE, ENVIRONMENT, health_check
from tests.environment import Servers
from tests.live.gate import Gate
from tests.live.server import ROOT, Database, Databases, LiveServer, full, manage
from tests.live.test_worker import CREATE_EXPIRED_CONSENT
from tests.servers import die_with_parent
from tests.waiting import wait_until

USER = 10001
START_SECONDS = 60
BEAT_SECONDS = 2


def is_healthy(service: str, environment: dict[str, str]) -> bool:
    """Return whether the service's health check exits with status 0."""
    command = [production.python() if word == "python" else word for word in health_check(service)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False)
    return done.returncode == 0


def test_the_health_check_works_with_custom_allowed_hosts(
    start_server: Callable[..., LiveServer],
) -> None:
    """It calls the loopback address, which is allowed even if ALLOWED_HOSTS does not contain it."""
    hosts = {"API_URL": "https://gate.example.com", "ALLOWED_HOSTS": "gate.example.com,gate.internal"}
    server = start_server(processes=1, **hosts)
    environment = {"API_PORT": str(server.port)}
    assert is_healthy("web", environment)
    server.stop()
    assert not is_healthy("web", environment)


def test_a_missing_database_is_logged_in_one_line(start_server: Callable[..., LiveServer], servers: Servers) -> None:
    server = start_server(processes=1)
    gate = Gate(server.url)
    before = len(server.log_text())
    remove_database(server.database, servers)
    answers = [gate.get("/health") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].json()["checks"]["database"] == "unavailable"
    lines = server.log_text()[before:].splitlines()
    records = [line.split(" ", 4)[2:] for line in lines]  # after the date and the time
    assert {(level, logger) for level, logger, _ in records} <= {
        ("ERROR", "decisions.batcher"),
        ("ERROR", "audit.sequencing.sequencer_loop"),
        ("INFO", "audit.sequencing.sequencer_loop"),
    }, lines
    assert sum("The database cannot decide" in line for line in lines) == 1, lines


def remove_database(database: Database, servers: Servers) -> None:
    """Drop the database of a running server. An open SQLite file would remain, so it loses a table instead."""
    if database.environment.get("DATABASE_URL"):
        servers.postgres.drop_database(database.environment["DATABASE_URL"])
    else:
        database.execute("ALTER TABLE tokens_accesstoken RENAME TO gone")


class Worker:
    """The worker of `compose.yaml`. It can write only to its own folder, which replaces /tmp."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.environment = {
            **database.environment,
            "DJANGO_SETTINGS_MODULE": "tests.live.quick_beat",
            "HEARTBEAT_PATH": self._own(ENVIRONMENT["HEARTBEAT_PATH"]),
            "STATIC_ROOT": str(folder / "static"),
            "LOG_FORMAT": "json",
            "PYTHONWARNINGS": "ignore",  # Celery warns before it has a log, if root runs it
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*unprivileged(folder), *self._command()],
                cwd=ROOT,
                env=full(self.environment),
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def is_healthy(self) -> bool:
        return is_healthy("worker", self.environment)

    def heartbeat(self) -> Path:
        return Path(self.environment["HEARTBEAT_PATH"])

    def beat(self) -> psutil.Process:
        """Return beat's process, by the title that Celery gives it."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        (beat,) = [child for child in children if " ".join(child.cmdline()).startswith("[celery beat]")]
        return beat

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(START_SECONDS)

    def _command(self) -> list[str]:
        words = [self._own(word) for word in COMPOSE["services"]["worker"]["command"]]
        assert words[0] == "python"
        return [production.python(), *words[1:]]

    def _own(self, path: str) -> str:
        return str(self.folder / path.removeprefix("/tmp/")) if path.startswith("/tmp/") else path


def unprivileged(folder: Path) -> list[str]:
    """Return the command prefix that runs a program as the image's user, who gets the folder, if we are root.

    The user may read all files, because the checkout may be in a folder of root, but can write only to its own.
    """
    if os.geteuid() != 0:
        return []
    os.chown(folder, USER, USER)
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    user = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs")
    return ["setpriv", *user, *reading, "--bounding-set=-all,+dac_read_search", "--"]


@pytest.fixture(scope="module")
def database(databases: Databases, servers: Servers) -> Database:
    """Return a database like that of compose: PostgreSQL and Valkey."""
    database = databases.postgresql(servers.postgres, servers.valkey)
    manage(database.environment, "shell", "-c", CREATE_EXPIRED_CONSENT)
    return database


@pytest.fixture(scope="module")
def worker(database: Database, servers: Servers) -> Iterator[Worker]:
    folder = servers.folder / "worker"
    folder.mkdir()
    servers.folder.chmod(0o755)
    worker = Worker(database, folder)
    yield worker
    worker.stop()


def test_beat_runs_as_the_images_user_and_the_health_check_fails_when_it_dies(
    worker: Worker, database: Database
) -> None:
    """When beat dies, no sweep runs, although the worker keeps running."""
    assert not worker.is_healthy()
    wait_for(worker.heartbeat().exists, worker, START_SECONDS)
    assert worker.is_healthy()

    wait_for(lambda: database.count("consent_consent", "status = 'expired'") == 1, worker, START_SECONDS)

    assert {path.name for path in worker.folder.iterdir()} == {"heartbeat", "log"}, "beat needs no file"

    worker.beat().kill()
    last = worker.heartbeat().stat().st_mtime
    time.sleep(3 * BEAT_SECONDS)
    assert worker.heartbeat().stat().st_mtime <= last + 1, "only beat sends heartbeats"
    assert worker.process.poll() is None, "the worker keeps running"
    os.utime(worker.heartbeat(), (last - HEARTBEAT_LIFETIME.total_seconds(),) * 2)  # let the time pass
    assert not worker.is_healthy()


def test_the_worker_logs_json_with_the_ids_of_its_tasks(worker: Worker) -> None:
    wait_for(lambda: "succeeded" in worker.log.read_text(), worker, START_SECONDS)
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    done = [line for line in lines if "succeeded" in line["message"]]
    assert done, lines
    assert all(line["requestId"] in line["message"] for line in done)


def wait_for(happens: Callable[[], bool], worker: Worker, limit: float) -> None:
    def log() -> str:
        return worker.log.read_text()[-3000:]

    def happens_while_running() -> bool:
        assert worker.process.poll() is None, log()
        return happens()

    wait_until(happens_while_running, log, limit)


def test_the_volume_is_restored_from_its_backup(tmp_path: Path) -> None:
    """The folder has the archived months, of which the database has no copy."""
    data, restored = tmp_path / "data", tmp_path / "restored"
    anchors, archive = (ENVIRONMENT[f"AUDIT_{name}_DIR"].removeprefix("/data/") for name in ("ANCHOR", "ARCHIVE"))
    files = {f"{anchors}/checkpoint": b"note", f"{archive}/202601/manifest.json": b"{}"}
    for name, content in {**files, f"{anchors}/checkpoint.7.tmp": b"half"}.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    (tmp_path / "backup").mkdir()
    restored.mkdir()

    for section, folder in (("Backup", data), ("Restore", restored)):
        command = volume_command(section).replace("--directory /data", f"--directory {folder}")
        subprocess.run(["sh", "-euc", command], cwd=tmp_path, check=True)

    found = {str(path.relative_to(restored)): path.read_bytes() for path in restored.rglob("*") if path.is_file()}
    assert found == files


def volume_command(section: str) -> str:
    """Return what a section of the page runs in a container with the volume."""
    page = (ROOT / "docs" / "deployment.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    (found,) = re.findall(r"^docker compose (?:exec|run --rm --no-deps) -T web (tar .*)$", page, re.M)
    assert COMPOSE["services"]["web"]["volumes"] == ["anchors:/data"]
    return str(found)
