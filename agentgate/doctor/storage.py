"""Checks of files: free space, and the age of the newest backup."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from agentgate.doctor.findings import Finding, in_words, ok, problem, skipped, warning

LOW, CRITICAL = 0.2, 0.05
UNFINISHED = (".tmp", ".part", ".partial")


def check_disk() -> Iterator[Finding]:
    """Look at the free space of each file system that this host writes to. PostgreSQL's own is not seen from here."""
    folders = [settings.AUDIT_ANCHOR_DIR, *_database_folder(), *_archive_folder()]
    for folder in _one_per_device(folders):
        usage = shutil.disk_usage(folder)
        share = usage.free / usage.total
        message = f"{100 * share:.0f} % of the disk of {folder} is free ({usage.free / 2**30:.1f} GiB)."
        if share < CRITICAL:
            yield problem(message, "Free space now: on a full disk, decisions are answered 503.")
        elif share < LOW:
            yield warning(message, "Free space, or archive old months of the log.")
        else:
            yield ok(message)


def _database_folder() -> list[Path]:
    is_file = connection.vendor == "sqlite"
    return [Path(settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]).parent] if is_file else []


def _archive_folder() -> list[Path]:
    location = settings.STORAGES["archive"]["OPTIONS"].get("location")
    return [location] if isinstance(location, Path) else []


def _one_per_device(folders: Iterable[Path]) -> Iterable[Path]:
    """Return the first folder of each file system. A folder that does not exist yet is in that of its parent."""
    existing = [next(each for each in (folder, *folder.parents) if each.exists()) for folder in folders]
    return {folder.stat().st_dev: folder for folder in reversed(existing)}.values()


def check_backups() -> Iterator[Finding]:
    """Look at the newest file below `BACKUP_DIR`."""
    folder: Path | None = settings.BACKUP_DIR
    if folder is None:
        message, remedy = (
            "BACKUP_DIR is not set, so the age of the newest backup is not known.",
            "Set it.",
        )
        yield warning(message, remedy) if settings.IS_HTTPS else skipped(message, remedy)
        return
    newest = find_newest(folder)
    if newest is None:
        yield problem(f"{folder} has no backup.", "Run the backup of docs/deployment.md#backup now.")
        return
    yield _judge(newest)


def _judge(newest: Path) -> Finding:
    found = newest.stat()
    age, limit = timedelta(seconds=time.time() - found.st_mtime), timedelta(hours=settings.BACKUP_MAX_AGE_HOURS)
    message = f"The newest backup, {newest.name}, is {in_words(age)} old and has {found.st_size:,} bytes."
    if not found.st_size:
        return problem(message, "It is empty. Read the log of the backup, and run it again.")
    if age > limit:
        return problem(message, f"It should be at most {in_words(limit)} old. Read the log of the backup.")
    return ok(f"{message} Try to restore it from time to time.")


def find_newest(folder: Path) -> Path | None:
    """Return the newest file in the folder or below it, without hidden files and unfinished ones, or None."""
    files = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and not name.endswith(UNFINISHED)
    )
    return max((file for file in files if file.is_file()), key=lambda file: file.stat().st_mtime, default=None)
