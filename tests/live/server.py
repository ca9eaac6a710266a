"""A server under test: `python -m server.main` with its own database, port and secrets."""

import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from tests import preloaded
from tests.live.gate import TLS
from tests.migrated import copy_migrated
from tests.servers import Postgres, Valkey, free_port
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
# The test process may use PostgreSQL, whose URL would take precedence over a path.
ON_SQLITE = {"DATABASE_URL": "", "REDIS_URL": ""}
THROTTLES = ("REGISTRATION", "SIGN_IN", "CLIENT_AUTH", "INITIATE", "VERIFY")
SECRET_IN_LOG = re.compile(r"\b(?:ag|ags|st|rs)_[A-Za-z0-9_-]{20,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+")


class Database:
    """One migrated database that server processes share: an SQLite file or a PostgreSQL URL."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows that `sql` selects, directly from the database."""
        if self.environment.get("DATABASE_URL"):
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                return connection.execute(sql.encode()).fetchall()
        with closing(sqlite3.connect(self.environment["DATABASE_PATH"], timeout=20)) as lite:
            return lite.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Execute `sql` directly in the SQLite file."""
        with closing(sqlite3.connect(self.environment["DATABASE_PATH"], timeout=20)) as lite, lite:
            lite.execute(sql)

    def count(self, table: str, where: str = "1=1") -> int:
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def logged_ids(self) -> list[str]:
        """Return the ids of the log's entries, in its order."""
        hexadecimal = "replace(id::text, '-', '')" if self.environment.get("DATABASE_URL") else "lower(hex(id))"
        return [row[0] for row in self.rows(f"SELECT 'log_' || {hexadecimal} FROM audit_entry ORDER BY leaf_index")]

    def count_entries(self) -> int:
        """Return the number of entries in the log, once the server has copied all decisions into it."""
        wait_until(lambda: self.count("audit_journal") == 0, seconds=10)
        return self.count("audit_entry")


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command and return its output. Raises `CalledProcessError`."""
    done = preloaded.run(["manage.py", *arguments], full(environment))
    done.check_returncode()
    return done.stdout


def full(environment: dict[str, str]) -> dict[str, str]:
    """Add the variables that every process needs. The caller's own were removed when the tests started."""
    throttles = {f"THROTTLE_{name}": "1000000/minute" for name in THROTTLES}
    settings = {"DJANGO_SETTINGS_MODULE": "tests.live.unthrottled", "LOG_LEVEL": "INFO"}
    return {**os.environ, **throttles, **settings, **environment}


class Databases:
    """Creates migrated databases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def sqlite(self, folder: Path | None = None) -> Database:
        self._made += 1
        path = (folder or self._folder) / f"live-{self._made}.db"
        copy_migrated(path)
        return Database({**ON_SQLITE, "DATABASE_PATH": str(path)})

    def postgresql(self, postgres: Postgres, valkey: Valkey) -> Database:
        return Database({"DATABASE_URL": postgres.create_migrated(), "REDIS_URL": valkey.url})

    def on(self, postgres: Postgres) -> Database:
        """Return a new database on a server that is not shared, without Redis."""
        return Database({"DATABASE_URL": postgres.create_migrated(), "REDIS_URL": ""})


class LiveServer:
    """The production server with this number of processes on a free port. It is ready when `start` returns."""

    def __init__(self, database: Database, folder: Path, processes: int = 4, **environment: str) -> None:
        self.database = database
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"server-{self.port}.log"
        self.environment = {
            **database.environment,
            "DJANGO_SETTINGS_MODULE": "tests.live.settings",
            "API_URL": self.url,
            "API_PORT": str(self.port),
            "WEB_CONCURRENCY": str(processes),
            "AUDIT_ANCHOR_DIR": str(folder / f"anchors-{self.port}"),
            **environment,
        }
        self._processes = processes
        self._master: preloaded.Program | None = None

    def start(self) -> "LiveServer":
        with self.log.open("ab") as log:
            self._master = preloaded.start(["-m", "server.main"], full(self.environment), log, log)
        self.wait_until_healthy()
        return self

    def start_unless_running(self) -> "LiveServer":
        """Start the server if a test has ended it. All its processes serve when this returns."""
        if self._master is None or self._master.poll() is not None:
            return self.start()
        self.wait_until_healthy()
        return self

    def stop(self) -> None:
        """Stop the server gracefully, or kill it if it does not stop in time."""
        if self._master is None:
            return
        family = self._children()
        self._master.send_signal(signal.SIGTERM)
        try:
            self._master.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()
        for straggler in family:
            if straggler.is_running():
                straggler.kill()
        self._master = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """The id of the process that supervises the others. The server must have been started."""
        assert self._master
        return self._master.pid

    def workers(self) -> list[psutil.Process]:
        """Return the processes that serve requests: all children but the sequencer."""
        return [child for child in self._children() if not _is(child, "server.sequencer")]

    def sequencer(self) -> psutil.Process | None:
        return next((child for child in self._children() if _is(child, "server.sequencer")), None)

    def end(self, how: signal.Signals) -> None:
        """Send a signal to the supervising process alone, and wait until that has ended."""
        assert self._master
        self._master.send_signal(how)
        self._master.wait(START_SECONDS)
        self._master = None

    def kill_a_worker(self) -> int:
        """Kill one of the processes that serve requests, wait until it has ended, and return its id.

        Otherwise the next call could find it among the processes once more, and kill nothing.
        """
        victim = self.workers()[0]
        victim.kill()
        victim.wait(START_SECONDS)
        return int(victim.pid)

    def manage(self, *arguments: str) -> str:
        return manage(self.environment, *arguments)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def secrets_in_log(self) -> list[str]:
        return SECRET_IN_LOG.findall(self.log_text())

    def require_clean_log(self, *, without: str = "Traceback (most recent call last)") -> None:
        """Fail if a secret was logged, or what the log is to be without."""
        assert self.secrets_in_log() == [], "a secret was logged"
        assert without not in self.log_text(), self.log_text()[-5000:]

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._master.pid).children(recursive=True) if self._master else []
        except psutil.NoSuchProcess:  # It has ended, and the process that forked it has noticed.
            return []

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._master and self._master.poll() is None:
            if self._is_healthy() and len(self.workers()) >= self._processes:
                return
            time.sleep(0.1)
        raise RuntimeError(f"the server did not become healthy:\n{self.log_text()[-3000:]}")

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v1/health", timeout=5, verify=TLS).status_code == 200
        except httpx.HTTPError:
            return False

    def __enter__(self) -> "LiveServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is(child: psutil.Process, name: str) -> bool:
    try:
        return name in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # it has ended, and the supervisor has not noticed yet
        return False
