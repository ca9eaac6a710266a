"""The process that keeps the sequencer running. `./dev serve` starts it, and `./dev sequencer` is it.

A process takes a second to start, and several when the machine is busy, because it imports the application. The keeper
has imported it, and forks. So a sequencer that was killed has a successor within a fraction of a second, although the
log may wait two seconds at most. The keeper itself has no threads and no connections, so it can fork.
"""

import gc
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import django

from agentgate.environment import ENVIRONMENT
from agentgate.stopping import set_on_signals

logger = logging.getLogger("agentgate.keeper")  # `__name__` is "__main__" when it runs alone

PARENT = "AGENTGATE_KEEPER_PARENT"
RESTART_SECONDS = 0.1
# What cannot start, such as without memory, must not be started ten times per second.
LONG_RESTART_SECONDS = 2.0
STABLE_SECONDS = 10.0
MAX_QUICK_ENDS = 5
LOOK_SECONDS = 0.05
# The sequencer finishes its transaction, and the keeper waits for it.
SEQUENCER_STOP_SECONDS = 5.0
KEEPER_STOP_SECONDS = SEQUENCER_STOP_SECONDS + 1.0


class Restarts:
    """Decides how long to wait before what has ended is started again."""

    def __init__(self) -> None:
        self._quick_ends = 0

    def pause_after(self, seconds: float) -> float:
        """Return the pause in seconds after a run of so many seconds."""
        self._quick_ends = 0 if seconds > STABLE_SECONDS else self._quick_ends + 1
        return LONG_RESTART_SECONDS if self._quick_ends > MAX_QUICK_ENDS else RESTART_SECONDS


class Keeper:
    """Runs the keeper beside the server, and starts it again when it ends."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the sequencer finish its transaction. Kill the keeper if that takes too long."""
        self._stopped.set()
        if self._process:
            self._process.terminate()
        self._thread.join(KEEPER_STOP_SECONDS)
        if self._process and self._thread.is_alive():
            self._process.kill()
            self._thread.join()

    def _run(self) -> None:
        restarts = Restarts()
        while True:
            began = time.monotonic()
            process = self._start()
            status = process.wait() if process else None
            if self._stopped.wait(restarts.pause_after(time.monotonic() - began)):
                return
            logger.error("The sequencer's keeper ended with status %s and is started again.", status)

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Return the started process, or None without memory or processes."""
        # In a session of its own, so that Ctrl-C in a terminal stops only the server, which then stops it.
        environment = {**os.environ, PARENT: str(os.getpid())}
        command = [sys.executable, "-m", "agentgate.keeper"]
        try:
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603  constants
        except OSError as error:
            logger.error("The sequencer's keeper cannot be started: %s", error)
            return None
        if self._stopped.is_set():  # `stop` may have ended the one before
            self._process.terminate()
        return self._process


def keep() -> None:
    """Keep a sequencer running until SIGTERM or SIGINT arrives, or until the server that started this has ended."""
    stopped = threading.Event()
    set_on_signals(stopped)
    use_own_role()
    django.setup(set_prefix=False)
    # These import models, so Django must be set up.
    from agentgate.sequencer import sequence
    from agentgate.starting import check_start

    parent = int(os.environ.get(PARENT, "0"))
    if not parent:  # otherwise the server has checked the start
        check_start(reads_keys=False)  # its role may not
        logger.info("The sequencer is running.")
    gc.collect()
    gc.freeze()  # what both processes share is not copied
    restarts = Restarts()
    while not _is_over(stopped, parent):
        began = time.monotonic()
        process = multiprocessing.get_context("fork").Process(target=sequence, args=(os.getpid(),))
        process.start()
        while process.is_alive() and not _is_over(stopped, parent):
            stopped.wait(LOOK_SECONDS)
        if process.is_alive():
            process.terminate()
            process.join(SEQUENCER_STOP_SECONDS)
            process.kill()
        elif not stopped.wait(restarts.pause_after(time.monotonic() - began)):
            logger.error("The sequencer ended with status %s and is started again.", process.exitcode)


def use_own_role() -> None:
    """Connect to the database as the sequencer's role, if there is one (docs/operations.md)."""
    url = ENVIRONMENT.text("AUDIT_SEQUENCER_DATABASE_URL")
    if url:
        os.environ["DATABASE_URL"] = url


def _is_over(stopped: threading.Event, parent: int) -> bool:
    return stopped.is_set() or (parent > 0 and os.getppid() != parent)


if __name__ == "__main__":
    keep()
