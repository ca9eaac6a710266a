"""The check of free space."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from server.doctor.findings import Finding, ok, problem, warning

LOW, CRITICAL = 0.2, 0.05


def check_disk() -> Iterator[Finding]:
    """Look at the free space of each file system that this host writes to. PostgreSQL's own may be on another host."""
    folders = [settings.AUDIT_ANCHOR_DIR, *_database_folder(), *_archive_folder()]
    for folder in _one_per_device(folders):
        usage = shutil.disk_usage(folder)
        share = usage.free / usage.total
        message = f"{100 * share:.0f} % of the disk of {folder} is free ({usage.free / 2**30:.1f} GiB)."
        if share < CRITICAL:
            yield problem(message, "Free up space now: with a full disk, the server answers 503 instead of deciding.")
        elif share < LOW:
            yield warning(message, "Free up space, or archive old months of the log.")
        else:
            yield ok(message)


def _database_folder() -> list[Path]:
    is_file = connection.vendor == "sqlite"
    return [Path(settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]).parent] if is_file else []


def _archive_folder() -> list[Path]:
    location = settings.STORAGES["archive"]["OPTIONS"].get("location")
    return [location] if isinstance(location, Path) else []


def _one_per_device(folders: Iterable[Path]) -> Iterable[Path]:
    """Return the first folder of each file system. A folder that does not exist yet counts as its parent."""
    existing = [next(each for each in (folder, *folder.parents) if each.exists()) for folder in folders]
    return {folder.stat().st_dev: folder for folder in reversed(existing)}.values()
