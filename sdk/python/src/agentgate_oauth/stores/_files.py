"""Private files: only their owner can read them, and they are replaced atomically."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn errors of the file system, such as a full disk, into StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"the session store failed: {error}") from error


def make_private_directory(directory: Path) -> Path:
    """Create the directory with mode 0700. Raises StoreError if others may write to an existing one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32" and stat.S_IMODE(directory.stat().st_mode) & 0o022:
        raise StoreError(f"others may write to {directory}: make it mode 0700")
    return directory


def read_private(path: Path) -> str | None:
    """Return the file's text, None if there is no file. Raises StoreError if others may read it."""
    try:
        with path.open(encoding="utf-8") as file:
            _require_private(path, os.fstat(file.fileno()).st_mode)
            return file.read()
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Replace the file, with mode 0600. After a crash it contains either the old text or the new one."""
    # mkstemp uses mode 0600. The same directory makes the replacement a single rename.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(path.parent)


def _require_private(path: Path, mode: int) -> None:
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
        raise StoreError(f"others may read {path}: make it mode 0600")


def _sync_directory(directory: Path) -> None:
    # Otherwise a power cut can undo the rename and bring back a used refresh token.
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
