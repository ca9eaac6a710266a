"""The two processes of the worker: each is started again when it ends, and both stop together.

Nothing here imports Django, which the processes load themselves.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from setproctitle import setproctitle

TITLE = "server.worker"
# The processes find the id of this one here, and stop when it has ended (`agentgate.celery`).
PARENT = "AGENTGATE_WORKER"
LOOK_SECONDS = 0.5
# Longer than a try of an event. What has not stopped then is killed; a container gets 60 seconds.
STOP_SECONDS = 50.0
# A process that ends soon after its start is started again after this time.
MIN_SECONDS = 5.0
# Celery does not know an argument.
USAGE_ERROR = 2


def run(commands: list[list[str]]) -> NoReturn:
    """Replace this process with one that runs the commands until SIGTERM or SIGINT arrives."""
    os.execv(sys.executable, [sys.executable, "-m", "server.pair", json.dumps(commands)])  # noqa: S606


def supervise(commands: list[list[str]], stopped: threading.Event) -> int:
    """Run the commands until `stopped` is set, or until one ends because of its arguments. Return an exit status."""
    children = [_Child(command) for command in commands]
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

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._start()

    def look(self) -> int | None:
        """Start the process again if it has ended. Return the status with which it ended."""
        status = self._process.poll()
        if status is not None and status != USAGE_ERROR and time.monotonic() >= self._began + MIN_SECONDS:
            sys.stderr.write(f"agentgate: a worker ended with status {status} and is started again\n")
            self._kill()
            self._start()
        return status

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the process until the deadline, and kill what is left of it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._kill()
        self._process.wait()

    def _start(self) -> None:
        self._began = time.monotonic()
        environment = {**os.environ, PARENT: str(os.getpid())}
        self._process = subprocess.Popen(self._command, env=environment, start_new_session=True)  # noqa: S603

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def main() -> None:
    setproctitle(TITLE)
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):  # another thread sets the event: see `server.sequencer.set_on_signals`
        signal.signal(name, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())
    sys.exit(supervise(json.loads(sys.argv[1]), stopped))


if __name__ == "__main__":
    main()
