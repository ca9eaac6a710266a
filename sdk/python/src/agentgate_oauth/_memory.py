"""What other programs of the same user can see of this one."""

from __future__ import annotations

import sys

_PR_SET_DUMPABLE = 4  # of <sys/prctl.h>


def hide_memory() -> None:
    """Keep other programs of the same user out of this one's memory, environment and descriptors.

    Only on Linux (PR_SET_DUMPABLE), and not from root. It also prevents core dumps. Programs that this one
    starts are as usual.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
