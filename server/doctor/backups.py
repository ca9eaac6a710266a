"""The check of backups: that the newest file is one, has its end, and is not old.

A backup is recognized by its content: a dump by `pg_dump`, or a copy of the SQLite file. Of a packed or an encrypted
file, only its name says that it might be one, so it counts only if there is no other.
"""

import heapq
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from server.doctor.findings import Finding, count, in_words, ok, problem, skipped, warning

UNFINISHED = (".tmp", ".part", ".partial")
CLOSED = (".age", ".gpg", ".pgp", ".asc", ".enc", ".gz", ".bz2", ".xz", ".zst", ".tgz")
MAX_FILES = 200
SQLITE, DUMP, TEXT = b"SQLite format 3\0", b"PGDMP", b"-- PostgreSQL database"
HEAD, TAIL = 4 * 2**20, 1000
OURS = b"audit_journal"
# How a dump with rows, and not only with tables, says that it has some.
ROWS = (b"TABLE DATA", b"\nCOPY ", b"\nINSERT INTO ")
RUN = "Run the backup of docs/deployment.md#backup now"


class Kind(StrEnum):
    """What a file is. A closed one is packed or encrypted."""

    BACKUP = "backup"
    INCOMPLETE = "incomplete"
    CLOSED = "closed"
    OTHER = "other"


def check_backups() -> Iterator[Finding]:
    """Look at the newest backup below `BACKUP_DIR`."""
    folder: Path | None = settings.BACKUP_DIR
    if folder is None:
        message, remedy = "BACKUP_DIR is not set, so the age of the newest backup is not known.", "Set it."
        yield warning(message, remedy) if settings.IS_HTTPS else skipped(message, remedy)
        return
    files = newest_files(folder)
    newest = find_newest(files)
    if newest:
        yield _judge(*newest)
    elif files:
        looked = f"{folder} has no backup of the database: {files[0].name}"
        others = f" and {count(len(files) - 1, 'other file')}" if len(files) > 1 else ""
        what = "copy of the SQLite file" if connection.vendor == "sqlite" else "dump by pg_dump with all rows"
        remedy = f"{RUN}. A backup is a {what}."
        yield problem(f"{looked}{others} cannot be restored to {connection.display_name}.", remedy)
    else:
        yield problem(f"{folder} has no backup.", f"{RUN}.")


def _judge(newest: Path, kind: Kind) -> Finding:
    found = newest.stat()
    age, limit = timedelta(seconds=time.time() - found.st_mtime), timedelta(hours=settings.BACKUP_MAX_AGE_HOURS)
    message = f"The newest backup, {newest.name}, is {in_words(age)} old and has {found.st_size:,} bytes."
    if kind is Kind.INCOMPLETE:
        what = "is incomplete or damaged" if found.st_size else "is empty"
        return problem(message, f"It {what}. Read the log of the backup, and run it again.")
    if age > limit:
        return problem(message, f"It should be at most {in_words(limit)} old. Read the log of the backup.")
    if kind is Kind.CLOSED:
        message = f"{message} It is packed or encrypted, so only its name says so."
        return warning(message, "Run this where it is made, or try to restore it, today.")
    return ok(f"{message} Try to restore it from time to time.")


def find_newest(files: list[Path]) -> tuple[Path, Kind] | None:
    """Return the newest backup among files in this order, whole or not, else the newest closed file, else None."""
    closed = None
    for file in files:
        kind = kind_of(file)
        if kind in (Kind.BACKUP, Kind.INCOMPLETE):
            return file, kind
        if kind is Kind.CLOSED:
            closed = closed or (file, kind)
    return closed


def newest_files(folder: Path) -> list[Path]:
    """Return files in the folder or below it, newest first, without hidden, unfinished and open ones."""
    files = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and not name.endswith(UNFINISHED)
    )
    usable = (file for file in files if file.is_file() and not _is_in_use(file))
    return heapq.nlargest(MAX_FILES, usable, key=lambda file: file.stat().st_mtime)


def _is_in_use(file: Path) -> bool:
    """Return whether the file is the database itself, which a copy of its folder may not be mistaken for."""
    name = settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]
    return connection.vendor == "sqlite" and Path(name).exists() and file.samefile(name)


def kind_of(path: Path) -> Kind:
    """Return what the file is. One that cannot be read is nothing that could be restored."""
    try:
        with path.open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(HEAD)
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
    except OSError:
        return Kind.OTHER
    if not size:
        return Kind.INCOMPLETE
    if path.suffix in CLOSED:
        return Kind.CLOSED
    if OURS not in head or not _is_restorable(head):
        return Kind.OTHER
    return Kind.BACKUP if _has_end(head, size, tail) else Kind.INCOMPLETE


def _is_restorable(head: bytes) -> bool:
    """Return whether the file begins as a backup of this kind of database with its rows."""
    if connection.vendor == "sqlite":
        return head.startswith(SQLITE)
    return (head.startswith(DUMP) or TEXT in head[:TAIL]) and any(rows in head for rows in ROWS)


def _has_end(head: bytes, size: int, tail: bytes) -> bool:
    if head.startswith(SQLITE):  # whose header states the size of a page and their number
        page = int.from_bytes(head[16:18])
        return size == (65536 if page == 1 else page) * int.from_bytes(head[28:32])
    if head.startswith(DUMP):
        return tail.endswith(bytes(5))  # the end of the rows of the last table
    return b"dump complete" in tail
