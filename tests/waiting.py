"""Wait for what other threads and processes do."""

import time
from collections.abc import Callable


def wait_until(
    happens: Callable[[], bool], explain: Callable[[], str] = str, seconds: float = 60, pause: float = 0.05
) -> None:
    """Return once `happens()` is true. After `seconds`, fail with the message that `explain` returns."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, explain()
        time.sleep(pause)
