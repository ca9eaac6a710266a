"""The process of the sequencer, which moves the journal into the log.

It is not a thread of a server process, where its work would delay decisions. One is enough for any number of servers:
of several, one moves the journal, and another takes over when it ends.
"""

import gc
import os
import threading

from django.conf import settings
from setproctitle import setproctitle

from agentgate.stopping import set_on_signals
from audit.sequencer_loop import is_active, run
from audit.witnesses import Collector, Witness

TITLE = "agentgate.sequencer"
# Each look for garbage passes over thousands of entries on their way.
GARBAGE_THRESHOLD = 200_000
# After its keeper was killed, it goes on until the next one has started a successor. Then both try, and one works.
ORPHAN_SECONDS = 10.0
WATCH_SECONDS = 1.0


def sequence(keeper: int) -> None:
    """Run until SIGTERM or SIGINT arrives. `keeper` is the id of the process that has forked this one."""
    stopped = threading.Event()
    set_on_signals(stopped)
    setproctitle(TITLE)
    gc.set_threshold(GARBAGE_THRESHOLD)
    threading.Thread(target=_watch, args=(keeper, stopped), name="watch", daemon=True).start()
    witnesses = [Witness.parse(text) for text in settings.AUDIT_WITNESSES]
    if witnesses:
        arguments = (stopped, is_active)
        threading.Thread(target=Collector(witnesses).run, args=arguments, name="witnesses", daemon=True).start()
    run(stopped)


def _watch(keeper: int, stopped: threading.Event) -> None:
    """Stop some time after the keeper was killed, because nothing else would stop this process."""
    while os.getppid() == keeper and not stopped.wait(WATCH_SECONDS):
        pass
    stopped.wait(ORPHAN_SECONDS)
    stopped.set()
