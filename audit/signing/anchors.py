"""Anchors: checkpoints in files, outside the database, so that a rewritten database does not match them.

`checkpoint` is the newest one. A file per day, such as `2026-11-26.txt`, keeps the first checkpoint of each minute.
Copy the folder to a place that the database's administrator cannot write to.
"""

import logging
import os
from datetime import datetime
from pathlib import Path

from django.conf import settings

from core import clock

logger = logging.getLogger(__name__)

NEWEST = "checkpoint"
_kept: list[str] = []


def write(note: str) -> None:
    """Write a checkpoint that is committed. A failure is logged and does not stop the log."""
    folder: Path | None = settings.AUDIT_ANCHOR_DIR
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / NEWEST, note)
        _keep(folder, note, clock.now())
    except OSError as error:
        logger.error("A checkpoint could not be anchored in AUDIT_ANCHOR_DIR: %s", error)


def _replace(path: Path, note: str) -> None:
    """Write the file so that readers see the old one or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(note)
    temporary.replace(path)


def _keep(folder: Path, note: str, now: datetime) -> None:
    minute = f"{now:%Y-%m-%d %H:%M}"
    if _kept == [minute]:
        return
    _kept[:] = [minute]
    with (folder / f"{now:%Y-%m-%d}.txt").open("a") as file:
        file.write(f"{note}\n")
        file.flush()
        os.fsync(file.fileno())
