"""A lock between processes, on a file. The operating system releases it when the process dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ._files import open_private

if sys.platform == "win32":
    import msvcrt

    def _lock_now(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_now(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock_file(path: Path) -> Callable[[], None] | None:
    """Lock the file and return a function that unlocks it, or None if it is locked, even by this process.

    The file is kept: if it were deleted, two processes could lock two files of the same name.
    """
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock_now(descriptor)
    except OSError:
        os.close(descriptor)
        return None
    return partial(os.close, descriptor)
