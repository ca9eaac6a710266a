"""The process of the sequencer, which moves the journal into the log. `./dev sequencer` runs it alone.

It is not a thread of a server process, where its work would delay decisions. One is enough for any number of servers:
of several, one moves the journal, and another takes over when it ends.
"""

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import django
from django.conf import settings

from agentgate.environment import ENVIRONMENT

logger = logging.getLogger("agentgate.sequencer")  # `__name__` is "__main__" when it runs alone

PARENT = "AGENTGATE_SEQUENCER_PARENT"
# A process takes about a second to start, and the log must not wait longer than two.
RESTART_SECONDS = 0.1
LONG_RESTART_SECONDS = 2.0
# One that cannot start, such as without a migration, must not be started ten times per second.
STABLE_SECONDS = 10.0
MAX_QUICK_ENDS = 5
STOP_SECONDS = 5.0
# The one that stands by must not slow down the start of the server.
STANDBY_SECONDS = 5.0
GARBAGE_THRESHOLD = 200_000
WATCH_SECONDS = 1.0


class Sequencers:
    """Runs the sequencer beside the server, and a second process that stands by.

    A process takes a second to start, longer under load. The one that stands by takes over sooner (`Turn`).
    """

    def __init__(self) -> None:
        self._processes = [SequencerProcess(), SequencerProcess(delay_seconds=STANDBY_SECONDS)]

    def stop(self) -> None:
        """Let them finish their transactions."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


class SequencerProcess:
    """Runs a process of the sequencer, and starts it again when it ends."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        self._stopped = threading.Event()
        self._delay_seconds = delay_seconds
        self._process: subprocess.Popen[bytes] | None = None
        if not delay_seconds:
            self._start()
        self._keeper = threading.Thread(target=self._keep, name="sequencer", daemon=True)
        self._keeper.start()

    def terminate(self) -> None:
        self._stopped.set()
        if self._process:
            self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended, and kill it if that takes too long."""
        self._keeper.join(STOP_SECONDS)
        if self._process and self._keeper.is_alive():
            self._process.kill()
            self._keeper.join()

    def _keep(self) -> None:
        if self._stopped.wait(self._delay_seconds):
            return
        quick_ends = 0
        while True:
            began = time.monotonic()
            process = self._process or self._start()
            status = process.wait() if process else None
            quick_ends = 0 if time.monotonic() > began + STABLE_SECONDS else quick_ends + 1
            if self._stopped.wait(LONG_RESTART_SECONDS if quick_ends > MAX_QUICK_ENDS else RESTART_SECONDS):
                return
            logger.error("A sequencer ended with status %s and is started again.", status)
            self._process = None

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Return the started process, or None without memory or processes."""
        try:
            self._process = self._spawn()
        except OSError as error:
            logger.error("The sequencer cannot be started: %s", error)
            return None
        if self._stopped.is_set():  # `terminate` may have ended the one before
            self._process.terminate()
        return self._process

    def _spawn(self) -> subprocess.Popen[bytes]:
        # In a session of its own, so that Ctrl-C in a terminal stops only the server, which then stops it.
        environment = {**os.environ, PARENT: str(os.getpid())}
        command = [sys.executable, "-m", "agentgate.sequencer"]
        return subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603  constants


def sequence() -> None:
    """Check the start, then run until SIGTERM or SIGINT arrives, or until the server that started it has ended."""
    stopped = threading.Event()
    set_on_signals(stopped)
    use_own_role()
    django.setup(set_prefix=False)
    from agentgate.starting import check_start  # imports models, so Django must be set up
    from audit.sequencer_loop import run

    if PARENT in os.environ:  # the server has checked the start
        threading.Thread(target=_watch, args=(int(os.environ[PARENT]), stopped), daemon=True).start()
    else:
        check_start(reads_keys=False)  # its role may not
        logger.info("The sequencer is running.")
    collect_cosignatures(stopped)
    spare_the_collector()
    run(stopped)


def spare_the_collector() -> None:
    """Let Python look for cycles of garbage rarely. Each look passes over thousands of entries on their way."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def use_own_role() -> None:
    """Connect this process to the database as the sequencer's role, if there is one (docs/operations.md)."""
    url = ENVIRONMENT.text("AUDIT_SEQUENCER_DATABASE_URL")
    if url:
        os.environ["DATABASE_URL"] = url


def collect_cosignatures(stopped: threading.Event) -> None:
    """Ask the witnesses in a thread of its own."""
    from audit.sequencer_loop import is_active  # imports models
    from audit.witnesses import Collector, Witness

    witnesses = [Witness.parse(text) for text in settings.AUDIT_WITNESSES]
    if witnesses:
        threading.Thread(
            target=Collector(witnesses).run, args=(stopped, is_active), name="witnesses", daemon=True
        ).start()


def set_on_signals(stopped: threading.Event) -> None:
    """Set the event when SIGTERM or SIGINT arrives.

    A handler runs in the main thread. If that is just about to wait for the event, it holds the event's lock, so only
    another thread can set it.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())


def _watch(parent: int, stopped: threading.Event) -> None:
    """Stop when the server was killed, because nothing else would stop this process."""
    while os.getppid() == parent and not stopped.wait(WATCH_SECONDS):
        pass
    stopped.set()


if __name__ == "__main__":
    sequence()
