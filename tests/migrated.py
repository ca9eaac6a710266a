"""An empty migrated SQLite database, made once for each state of the code: migrating takes seconds."""

import fcntl
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "var" / "migrated"
WITHOUT_MIGRATIONS = {"tests", "sdk", "docs", "benchmarks", "tools", "demo", "var"}


def copy_migrated(path: Path) -> None:
    """Write an empty migrated database to `path`, which must not exist."""
    with _locked():
        template = CACHE / f"{_digest()}.db"
        if not template.exists():
            _make(template)
        # Unlike a copy of the file, this includes the write-ahead log.
        with closing(sqlite3.connect(template)) as database:
            database.execute("VACUUM INTO ?", (str(path),))


def _make(template: Path) -> None:
    for earlier in CACHE.glob("*.db*"):
        earlier.unlink()
    unfinished = template.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    environment = {**os.environ, "DATABASE_URL": "", "REDIS_URL": "", "DATABASE_PATH": str(unfinished)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    unfinished.rename(template)


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
