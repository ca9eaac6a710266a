"""The databases of a run: durable PostgreSQL with Valkey, or SQLite files, seeded once and copied for each block."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.seed import TOKENS
from benchmarks.serving import ROOT
from tests.environment import AMBIENT, SECRETS
from tests.live.server import ON_SQLITE, Database, full, manage
from tests.servers import Postgres, Valkey

STORES = ("sqlite", "postgresql")
# The number of the product's processes. On SQLite the cache is in the process, so there is one.
PROCESSES = {"sqlite": 1, "postgresql": 2, "postgresql_2ms": 2}
# PostgreSQL whose fdatasync takes 2 ms more, as on a network disk: only where a library can be compiled and preloaded.
SLOW = "postgresql_2ms"
SLOW_STORES = (SLOW,) if sys.platform == "linux" and shutil.which("cc") else ()
SETTINGS = {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "API_URL": "http://localhost:8000"}
OWN_SERVERS = ("TEST_DATABASE_URL", "TEST_REDIS_URL")
# A new PostgreSQL creates files of 16 MB for its write-ahead log, two or three a second. Each takes 40 ms, in which
# no commit ends. A server in use writes over old files, so this many bytes are written before the measurements.
WAL_SETTINGS = {"min_wal_size": "1GB", "max_wal_size": "4GB"}
WAL_MESSAGES, WAL_MESSAGE_BYTES = 1000, 1_000_000


@dataclass(frozen=True)
class Seeded:
    """A database with its rows, and the tokens and credentials to ask about them.

    `original` is the database that this one was copied from. Nothing connects to it.
    """

    database: Database
    given: dict[str, Any]
    original: "Seeded | None" = None


def prepare_environment() -> None:
    """Remove the caller's own configuration from the environment of all processes, and set fixed secrets.

    The databases are always new ones, because those of the caller may not be durable.
    """
    for name in list(os.environ):
        if name.removesuffix("_FILE") in (*AMBIENT, *OWN_SERVERS) or name.startswith("THROTTLE_"):
            del os.environ[name]
    os.environ.update(SECRETS)


class Store:
    """Creates databases of one kind. Close it with `stop`."""

    def __init__(self, name: str, folder: Path, processes: int | None = None, *, socket: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.processes = processes or PROCESSES[name]
        self._made = 0
        slowly = _compile(folder) if name == SLOW else None
        with_servers = name != "sqlite"
        self._postgres = Postgres(durable=True, empty=True, socket=socket, preload=slowly) if with_servers else None
        self._valkey = Valkey() if with_servers else None
        if self._postgres:
            _require_loaded(self._postgres, slowly)
            _age(self._postgres.url)

    @property
    def pids(self) -> list[int]:
        """The ids of the database's own processes. None on SQLite."""
        return [server.pid for server in (self._postgres, self._valkey) if server is not None and server.pid]

    @property
    def disk(self) -> Path:
        """The folder of the data, whose disk must be fast."""
        return (self._postgres.folder if self._postgres else None) or self.folder

    def stop(self) -> None:
        for server in (self._postgres, self._valkey):
            if server is not None:
                server.stop()

    def empty(self) -> dict[str, str]:
        """Create an empty database and return the variables that name it."""
        if self._postgres and self._valkey:
            return {"DATABASE_URL": self._postgres.create_database(), "REDIS_URL": self._valkey.url}
        self._made += 1
        return {**ON_SQLITE, "DATABASE_PATH": str(self.folder / f"bench-{self._made}.db")}

    def seeded(self, **numbers: int) -> Seeded:
        """Create a database, migrate it and fill it. `numbers` are further arguments of `benchmarks.rows.seed`."""
        return self.filled("benchmarks.seed", json.dumps({"tokens": TOKENS, **numbers}))

    def filled(self, module: str, argument: str) -> Seeded:
        """Create a database, migrate it and fill it by a module, which prints what belongs to it."""
        variables = {**self.empty(), **SETTINGS}
        manage(variables, "migrate", "--verbosity", "0")
        given = printed(module, argument, variables)
        database = Database(variables)
        self.tidy(database)
        return Seeded(database, given)

    def copy(self, seeded: Seeded) -> Seeded:
        """Return a copy of a seeded database, or of its original. Its log has no decisions yet."""
        seeded = seeded.original or seeded
        variables = dict(seeded.database.environment)
        if self._postgres:
            variables["DATABASE_URL"] = self._postgres.create_database(variables["DATABASE_URL"])
        else:
            variables["DATABASE_PATH"] = self.empty()["DATABASE_PATH"]
            execute(seeded.database, f"VACUUM INTO '{variables['DATABASE_PATH']}'")
        return Seeded(Database(variables), seeded.given, original=seeded)

    def tidy(self, database: Database) -> None:
        """Collect the statistics that a database in use has."""
        execute(database, "VACUUM ANALYZE" if self._postgres else "ANALYZE")


def execute(database: Database, *statements: str) -> None:
    """Execute statements outside of any transaction."""
    variables = database.environment
    if url := variables.get("DATABASE_URL"):
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return
    with closing(sqlite3.connect(variables["DATABASE_PATH"], timeout=20, isolation_level=None)) as lite:
        for statement in statements:
            lite.execute(statement)


def _compile(folder: Path) -> Path:
    """Compile the library that makes PostgreSQL wait, which another account runs and must be able to read."""
    library = folder / "fdatasync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, ROOT / "benchmarks" / "fdatasync.c"], check=True)
    folder.chmod(0o711)
    return library


def _require_loaded(postgres: Postgres, library: Path | None) -> None:
    """Raise `RuntimeError` if PostgreSQL runs without the library: then the loader has only warned."""
    if library and str(library) not in Path(f"/proc/{postgres.pid}/maps").read_text():
        raise RuntimeError(f"PostgreSQL has not loaded {library}")


def _age(url: str) -> None:
    """Give a new PostgreSQL the write-ahead log of one in use."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in WAL_SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(WAL_MESSAGES):
            connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', %s))", [WAL_MESSAGE_BYTES])
        connection.execute("CHECKPOINT")


type Open = Callable[[str], AbstractContextManager[Store]]


@contextmanager
def opened(name: str, folder: Path, processes: int | None = None, *, socket: bool = False) -> Iterator[Store]:
    store = Store(name, folder, processes, socket=socket)
    try:
        yield store
    finally:
        store.stop()


def printed(module: str, argument: str, variables: dict[str, str]) -> dict[str, Any]:
    """Run a module and return the JSON that it prints."""
    command = [sys.executable, "-m", module, argument]
    done = subprocess.run(command, cwd=ROOT, env=full(variables), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
