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

# A session has a few kilobytes. More can only be damage.
_MAX_BYTES = 1024 * 1024
# Do not follow a symbolic link, nor wait for the other end of a pipe. Windows has neither flag.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn errors of the file system, such as a full disk, into StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"the session store failed: {error}") from error


def make_private_directory(directory: Path) -> Path:
    """Create the directory with mode 0700. Raises StoreError if it is a link, or others may write to it."""
    with reported():
        refuse_link(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and stat.S_IMODE(directory.stat().st_mode) & 0o022:
            raise StoreError(f"others may write to {directory}: make it mode 0700")
    return directory


def refuse_link(path: Path) -> None:
    """Raise StoreError for a symbolic link. It could lead to a file of something else."""
    if path.is_symlink():
        raise StoreError(f"{path} is a symbolic link: use what it leads to, or delete it")


def open_private(path: Path, flags: int) -> int:
    """Return a descriptor of the file; if it is created, with mode 0600. Raises OSError or StoreError."""
    refuse_link(path)
    return os.open(path, flags | _SAFELY, 0o600)


def read_private(path: Path) -> str | None:
    """Return the file's text, None if there is no file. Raises StoreError if it is damaged or not private."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        _require_private(path, os.fstat(descriptor))
        content = os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode("utf-8")
    # Raised outside the handler, because the decoder's exception contains the text.
    raise StoreError(f"{path} is damaged: delete it")


def write_private(path: Path, text: str) -> None:
    """Replace the file, with mode 0600. After a crash it contains either the old text or the new one."""
    refuse_link(path)
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


def _require_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
        raise StoreError(f"{path} is not a file that a session store wrote: delete it")
    if sys.platform != "win32" and stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(f"others may read {path}: make it mode 0600")


def _sync_directory(directory: Path) -> None:
    # Otherwise a power cut can undo the rename and bring back a used refresh token.
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
