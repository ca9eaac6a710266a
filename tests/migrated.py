"""Empty migrated databases, made once for each state of the code: migrating takes seconds.

There is a file for SQLite, and for PostgreSQL the data folder of a cluster whose database `MIGRATED` is the template of
others.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from tests import production

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "var" / "migrated"
MIGRATED = "migrated"
WITHOUT_MIGRATIONS = {"tests", "sdk", "docs", "benchmarks", "tools", "demo", "var"}


def copy_migrated(path: Path) -> None:
    """Write an empty migrated SQLite database to `path`, which must not exist."""
    with _locked():
        template = _cached("db", _make_file)
        # Unlike a copy of the file, this includes the write-ahead log.
        with closing(sqlite3.connect(template)) as database:
            database.execute("VACUUM INTO ?", (str(path),))


def copy_cluster(path: Path, make: Callable[[Path], None]) -> None:
    """Copy the data folder of a PostgreSQL cluster with the database `MIGRATED` to `path`, which must not exist.

    `make` writes such a folder.
    """
    with _locked():
        template = _cached("postgresql", make)
        shutil.copytree(template, path)
    path.chmod(0o700)


def migrate(environment: dict[str, str]) -> None:
    command = [production.python(), "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)


def _make_file(path: Path) -> None:
    migrate({"DATABASE_URL": "", "REDIS_URL": "", "DATABASE_PATH": str(path)})


def _cached(kind: str, make: Callable[[Path], None]) -> Path:
    """Return what `make` has written for this state of the code, and remove what it had written for others."""
    template = CACHE / f"{_digest()}.{kind}"
    if not template.exists():
        for earlier in CACHE.glob(f"*.{kind}*"):
            shutil.rmtree(earlier) if earlier.is_dir() else earlier.unlink()
        unfinished = template.with_suffix(f".{kind}-unfinished")
        make(unfinished)
        unfinished.rename(template)
    return template


@contextmanager
def _locked() -> Iterator[None]:
    """Let one process at a time make or copy the database."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _digest() -> str:
    """Return a digest of all that migrations can depend on: the product's code and the versions of its packages."""
    digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    folders = (path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in WITHOUT_MIGRATIONS)
    for folder in sorted(folders):
        for file in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".sql", ".csv")):
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:20]
