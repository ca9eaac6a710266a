"""Count the log, and end like a process that is killed once the counts are written, just before the commit."""

import os
import signal
import sys
from typing import Any

import django

django.setup()

from insights import services  # noqa: E402

ADD = services._add
LIMIT = int(sys.argv[2])


def add_and_die(*arguments: Any) -> None:
    ADD(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


services.BATCH = LIMIT
if sys.argv[1] == "count":
    services.count_log(limit=LIMIT)  # this one is committed
    services._add = add_and_die
    services.count_log(limit=LIMIT)
else:
    services.rebuild(lambda counted: setattr(services, "_add", add_and_die))
