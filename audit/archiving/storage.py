"""The archive's storage in a folder."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible

FILE_MODE = 0o600
FOLDER_MODE = 0o700


@deconstructible
class DurableFiles(FileSystemStorage):
    """Files that are complete or not there, and that survive a power failure once `save` returns.

    Django's own storage does not wait for the disk, so entries could be pruned whose archive is lost.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_overwrite=True)

    @property
    def temporary_folder(self) -> str:
        """Return a folder for large temporary files. The system's may be a small one in memory."""
        _make_folders(Path(self.location))
        return str(self.location)

    def _save(self, name: str, content: "File[bytes]") -> str:
        path = Path(self.path(name))
        _make_folders(path.parent)
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(FILE_MODE)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync(path.parent)
        return name


def _make_folders(folder: Path) -> None:
    """Create a folder with its parents, durably."""
    for one in [one for one in (folder, *folder.parents) if not one.exists()][::-1]:
        one.mkdir(mode=FOLDER_MODE, exist_ok=True)
        _sync(one.parent)


def _sync(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
