"""The supervisor of the server processes."""

import logging
import time
from collections import Counter
from socket import socket

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from agentgate.front.bounds import STOP_SECONDS

logger = logging.getLogger(__name__)

# How often, twice per second, a process may be found not to have answered. A busy machine takes seconds to start one.
# Looks are counted, not seconds, because the supervisor may have been stopped together with its processes.
MAX_UNANSWERED = 60
# Connections may take STOP_SECONDS to end, and after them the decisions.
KILL_SECONDS = 2 * STOP_SECONDS + 5


class Supervisor(Multiprocess):
    """uvicorn's supervisor, except that it never waits for a process that does not answer.

    uvicorn's asks each process in turn whether it is alive, and waits for the answer. Meanwhile it does not notice that
    the process ends, it replaces no other process, and it obeys no signal.
    """

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._unanswered: Counter[Process] = Counter()
        """How often each process was found not to have answered the last question."""

    def keep_subprocess_alive(self) -> None:
        """Replace each process that has ended or hangs. uvicorn calls this twice per second."""
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if not self._is_alive(process):
                self._replace(index)

    def join_all(self) -> None:
        """Wait until the processes have stopped, and kill those that hang."""
        deadline = time.monotonic() + KILL_SECONDS
        for process in self.processes:
            process.process.join(max(0, deadline - time.monotonic()))
            if process.process.is_alive():
                logger.error("Server process %s does not stop and is killed.", process.pid)
                process.kill()
                process.join()

    def _is_alive(self, process: Process) -> bool:
        if not process.process.is_alive():
            return False
        while process.parent_conn.poll():
            process.parent_conn.recv()
            del self._unanswered[process]
        if process not in self._unanswered:
            process.parent_conn.send(b"ping")
        self._unanswered[process] += 1
        return self._unanswered[process] <= MAX_UNANSWERED

    def _replace(self, index: int) -> None:
        process = self.processes[index]
        process.kill()
        process.join()
        del self._unanswered[process]
        if process.exitcode == STARTUP_FAILURE:
            logger.error("A server process cannot start, so the server stops.")
            self.should_exit.set()
            return
        logger.error("Server process %s ended with status %s and is replaced.", process.pid, process.exitcode)
        self.processes[index] = Process(self.config, self.sockets)
        self.processes[index].start()
