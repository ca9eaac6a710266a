"""Sessions in private files of one directory, shared by the processes of one machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from ._files import make_private_directory, read_private, reported, write_private
from ._locks import try_lock_file
from .protocol import SessionRecord


class FileStore:
    """Keeps each record in a file of mode 0600 in a directory of mode 0700. Not for network file systems."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = make_private_directory(Path(directory).expanduser())

    def load(self, key: str) -> SessionRecord | None:
        with reported():
            text = read_private(self._path(key, "json"))
        return None if text is None else SessionRecord.load(text)

    def save(self, key: str, record: SessionRecord) -> None:
        with reported():
            write_private(self._path(key, "json"), record.dump())

    def delete(self, key: str) -> None:
        with reported():
            self._path(key, "json").unlink(missing_ok=True)

    def try_lock(self, key: str) -> Callable[[], None] | None:
        with reported():
            return try_lock_file(self._path(key, "lock"))

    def _path(self, key: str, kind: str) -> Path:
        # Hashed, because a key may contain characters with a meaning in paths.
        name = hashlib.sha256(key.encode()).hexdigest()[:40]
        return self._directory / f"{name}.{kind}"
