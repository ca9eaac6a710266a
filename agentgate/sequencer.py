"""The sequencer: the thread that each server process runs, and the process of `./dev sequencer`, which runs it alone.

One is enough for any number of servers. Of several, one copies at a time, and another takes over when it ends.
"""

import logging
import signal
import threading

import django

logger = logging.getLogger("agentgate.sequencer")  # `__name__` is "__main__" when it runs alone


class Sequencer:
    """Copies the journal of decisions into the log, in a thread with its own database connection."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Let it finish its transaction, and wait for that at most so many seconds."""
        self._stopped.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        from audit.sequencer import run  # imports models, so Django must be set up

        run(self._stopped)


def sequence() -> None:
    """Check the start, then run until SIGTERM or SIGINT arrives."""
    django.setup(set_prefix=False)
    from agentgate.starting import check_start  # imports models, so Django must be set up
    from audit.sequencer import run

    check_start()
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    logger.info("The sequencer is running.")
    run(stopped)


if __name__ == "__main__":
    sequence()
