"""A small disk that tests fill."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BLOCK = b"\0" * 65_536


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(BLOCK):
                pass

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount a file system in memory that every account can use. Skip the test if this process may not mount."""
    folder = Path(tempfile.mkdtemp(prefix="agentgate-disk-"))
    try:
        options = f"size={megabytes}m,mode=777"
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder]).returncode:
            pytest.skip("needs the permission to mount a file system")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()
