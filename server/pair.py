"""The two processes of the worker: each is started again when it ends, and both stop together.

They are forked, so they start fast, and share the memory of what is imported before.
"""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from setproctitle import setproctitle

from server.forking import FORK, start, use_own_signals

type Work = Callable[[], object]
TITLE = "server.worker"
# The processes find the id of this one here, and stop when it has ended (`agentgate.celery`).
PARENT = "AGENTGATE_WORKER"
LOOK_SECONDS, END_SECONDS = 0.5, 0.05
# Longer than a try of an event. What has not stopped then is killed; a container gets 60 seconds.
STOP_SECONDS = 50.0
# A process that ends soon after its start is started again after this time.
MIN_SECONDS = 5.0
# Celery does not know an argument.
USAGE_ERROR = 2


def run(works: Sequence[Work]) -> NoReturn:
    """Run each of these functions in a process of its own until SIGTERM or SIGINT arrives."""
    setproctitle(TITLE)
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):  # another thread sets the event: see `server.sequencer.set_on_signals`
        signal.signal(name, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())
    gc.collect()
    gc.freeze()
    sys.exit(supervise(works, stopped))


def supervise(works: Sequence[Work], stopped: threading.Event) -> int:
    """Run the functions until `stopped` is set, or until one ends because of its arguments. Return an exit status."""
    children = [_Child(work) for work in works]
    status = 0
    try:
        while not stopped.wait(LOOK_SECONDS):
            if USAGE_ERROR in [child.look() for child in children]:
                status = USAGE_ERROR
                break
    finally:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            child.end(deadline)
    return status


class _Child:
    """A process with its own session, so that it and what it has forked can be killed together."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._start()

    def look(self) -> int | None:
        """Start the process again if it has ended. Return the status with which it ended."""
        status = self._process.exitcode
        if status is not None and status != USAGE_ERROR and time.monotonic() >= self._began + MIN_SECONDS:
            sys.stderr.write(f"agentgate: a worker ended with status {status} and is started again\n")
            self._kill()
            self._start()
        return status

    def terminate(self) -> None:
        self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the process until the deadline, and kill what is left of it."""
        while self._process.exitcode is None and time.monotonic() < deadline:
            time.sleep(END_SECONDS)
        self._kill()
        self._process.join()

    def _start(self) -> None:
        self._began = time.monotonic()
        self._process = FORK.Process(target=self._run, args=(os.getpid(),))
        start(self._process)

    def _run(self, parent: int) -> None:
        os.setsid()
        use_own_signals()
        os.environ[PARENT] = str(parent)
        self._work()

    def _kill(self) -> None:
        self._process.kill()
        if group := self._process.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
