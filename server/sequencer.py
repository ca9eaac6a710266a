"""The process of the sequencer, which moves the journal into the log. `./dev sequencer` runs it alone.

It is not a thread of a server process, where its work would delay decisions. One is enough for any number of servers.
If there are several, one moves the journal, and another takes over when it ends.
"""

import gc
import logging
import os
import signal
import threading

import django
from django.conf import settings
from django.db import connection
from setproctitle import setproctitle

from core import timeouts

logger = logging.getLogger("server.sequencer")  # `__name__` is "__main__" when it runs alone

TITLE = "server.sequencer"
# Each garbage collection looks at thousands of entries that are still in use.
GARBAGE_THRESHOLD = 200_000
WATCH_SECONDS = 1.0


def run_beside(server: int) -> None:
    """Run until SIGTERM or SIGINT arrives, or until the server has ended, which has forked this process.

    `server` is the id of its process.
    """
    stopped = threading.Event()
    set_on_signals(stopped)
    setproctitle(TITLE)
    use_own_role()
    threading.Thread(target=_watch, args=(server, stopped), name="watch", daemon=True).start()
    sequence(stopped)


def run_alone() -> None:
    """Check the start, then run until SIGTERM or SIGINT arrives."""
    stopped = threading.Event()
    set_on_signals(stopped)
    django.setup(set_prefix=False)
    from server.starting import check_start  # imports models, so Django must be set up

    use_own_role()
    check_start(reads_keys=False)  # its role may not
    logger.info("The sequencer is running.")
    sequence(stopped)


def sequence(stopped: threading.Event) -> None:
    """Move the journal and collect cosignatures until `stopped` is set."""
    timeouts.use(timeouts.WORKER)
    # These import models, so Django must be set up.
    from audit.sequencing.sequencer_loop import is_active, run
    from audit.signing.witnesses import Collector, Witness

    witnesses = [Witness.parse(text) for text in settings.AUDIT_WITNESSES]
    if witnesses:
        arguments = (stopped, is_active)
        threading.Thread(target=Collector(witnesses).run, args=arguments, name="witnesses", daemon=True).start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    run(stopped)


def use_own_role() -> None:
    """Connect to the database as the sequencer's role, if there is one (docs/operations.md)."""
    if settings.AUDIT_SEQUENCER_DATABASE:
        connection.close()
        connection.settings_dict.update(settings.AUDIT_SEQUENCER_DATABASE)


def set_on_signals(stopped: threading.Event) -> None:
    """Set the event when SIGTERM or SIGINT arrives.

    A handler runs in the main thread. If that is just about to wait for the event, it holds the event's lock, so only
    another thread can set it.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())


def _watch(server: int, stopped: threading.Event) -> None:
    """Stop when the server was killed, because nothing else would stop this process."""
    while os.getppid() == server and not stopped.wait(WATCH_SECONDS):
        pass
    stopped.set()


if __name__ == "__main__":
    run_alone()
