"""Check that the newest backup can be restored, and that it is recent."""

import heapq
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from server.doctor.backup_files import Kind, kind_of
from server.doctor.findings import Finding, count, in_words, ok, problem, skipped, warning

UNFINISHED = (".tmp", ".part", ".partial")
MAX_FILES = 200
RUN = "Run the backup of docs/deployment.md#backup now"


def check_backups() -> Iterator[Finding]:
    """Look at the newest backup below `BACKUP_DIR`."""
    folder: Path | None = settings.BACKUP_DIR
    if folder is None:
        message, remedy = "BACKUP_DIR is not set, so the age of the newest backup is unknown.", "Set it."
        yield warning(message, remedy) if settings.IS_HTTPS else skipped(message, remedy)
        return
    files = newest_files(folder)
    newest = find_newest(files)
    if newest:
        yield _judge(*newest)
    elif files:
        looked = f"{folder} has no backup of the database: {files[0].name}"
        others = f" and {count(len(files) - 1, 'other file')}" if len(files) > 1 else ""
        yield problem(f"{looked}{others} cannot be restored to {connection.display_name}.", f"{RUN}. {_formats()}")
    else:
        yield problem(f"{folder} has no backup.", f"{RUN}.")


def _formats() -> str:
    if connection.vendor == "sqlite":
        return "A backup is a copy of the SQLite file, plain, compressed or in a tar."
    return "A backup is a dump by pg_dump with the rows of all tables, plain, compressed or in a tar."


def _judge(newest: Path, kind: Kind) -> Finding:
    found = newest.stat()
    age, limit = timedelta(seconds=time.time() - found.st_mtime), timedelta(hours=settings.BACKUP_MAX_AGE_HOURS)
    message = f"The newest backup, {newest.name}, is {in_words(age)} old and has {found.st_size:,} bytes."
    if kind is Kind.INCOMPLETE:
        what = "is incomplete or damaged" if found.st_size else "is empty"
        return problem(message, f"It {what}. Read the log of the backup, and run it again.")
    if age > limit:
        return problem(message, f"It should be at most {in_words(limit)} old. Read the log of the backup.")
    if kind is Kind.ENCRYPTED:
        return warning(f"{message} It is encrypted, so only its name says so.", "Try to restore it today.")
    return ok(f"{message} Try to restore it from time to time.")


def find_newest(files: list[Path]) -> tuple[Path, Kind] | None:
    """Return the first backup in the list, complete or not, otherwise the first encrypted file, otherwise None."""
    encrypted = None
    for file in files:
        kind = kind_of(file)
        if kind in (Kind.BACKUP, Kind.INCOMPLETE):
            return file, kind
        if kind is Kind.ENCRYPTED:
            encrypted = encrypted or (file, kind)
    return encrypted


def newest_files(folder: Path) -> list[Path]:
    """Return the files in the folder and below it, newest first, except hidden, unfinished and open ones."""
    files = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and not name.endswith(UNFINISHED)
    )
    usable = (file for file in files if file.is_file() and not _is_in_use(file))
    return heapq.nlargest(MAX_FILES, usable, key=lambda file: file.stat().st_mtime)


def _is_in_use(file: Path) -> bool:
    """Return whether the file is the database itself. It must not pass for a backup if it is in the same folder."""
    name = settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]
    return connection.vendor == "sqlite" and Path(name).exists() and file.samefile(name)
