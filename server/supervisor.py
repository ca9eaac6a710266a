"""The supervisor of the server processes."""

import logging
import signal
import time
from collections import Counter
from socket import socket

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from server.forking import ForkedProcess, Sequencer
from server.front.bounds import STOP_SECONDS
from server.listening import admit_none

logger = logging.getLogger(__name__)

# How often, twice per second, a process may be found not to have answered. A busy machine takes seconds to start one.
# Looks are counted, not seconds, because the supervisor may have been stopped together with its processes.
MAX_UNANSWERED = 60
# The same for a process that was told to stop. While it hangs, it keeps the socket open, so clients connect and wait in
# vain. A process that is only slow with its last requests still answers.
MAX_UNANSWERED_AT_STOP = 10
# Connections may take STOP_SECONDS to end, and after them the decisions.
KILL_SECONDS = 2 * STOP_SECONDS + 5
# While waiting for one process, the supervisor looks after the others, and for a signal to stop, this often.
LOOK_SECONDS = 0.5
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Supervisor(Multiprocess):
    """uvicorn's supervisor, except that no process can make it wait for long or miss a signal to stop.

    uvicorn's asks each process in turn whether it is alive, and waits for the answer. Meanwhile it does not notice that
    the process ends, it replaces no other process, and it obeys no signal. When it stops a process, it waits without
    limit until that has ended. This one also keeps the sequencer running, and its processes are forked.
    """

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._sequencer = Sequencer(sockets)
        self._unanswered: Counter[Process] = Counter()
        """How often each process was found not to have answered the last question."""
        self._retiring: dict[Process, float] = {}
        """The processes that were told to stop, and when each is killed at the latest."""

    def run(self) -> None:
        """Supervise until a signal to stop arrives. After an unexpected error, no process is left behind."""
        try:
            super().run()
        except BaseException:
            for process in (*self.processes, *self._retiring):
                process.kill()
            self._sequencer.kill()
            raise

    def init_processes(self) -> None:
        """Start all processes. uvicorn calls this once. Raises `OSError` if one cannot be started."""
        for _ in range(self.processes_num):
            self.processes.append(self._start())
        self._sequencer.start()

    def keep_subprocess_alive(self) -> None:
        """Replace each process that has ended or hangs. uvicorn calls this twice per second."""
        if self.should_exit.is_set():
            return
        self._sequencer.keep_alive()
        self._end_retiring()
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if not self._is_alive(process, MAX_UNANSWERED):
                self._replace(index)

    def terminate_all(self) -> None:
        """Admit no client, and tell all processes to stop. Once none has the sockets open, clients are refused."""
        for listening in self.sockets:
            try:
                admit_none(listening)
            except OSError as error:  # not on Linux: a client that connects at the last moment may be reset
                logger.warning("Clients are admitted until the last process stops: %s", error)
        while self.processes:
            self._retire(self.processes.pop())
        for listening in self.sockets:
            listening.close()

    def join_all(self) -> None:
        """Wait until the processes have stopped, and kill those that hang."""
        self._end_retiring()
        while self._retiring:
            time.sleep(LOOK_SECONDS)
            self._end_retiring()
        self._sequencer.stop()

    def restart_all(self) -> None:
        """Replace each process once its successor serves (SIGHUP). Keep the rest if a successor does not start."""
        for index in range(len(self.processes)):
            if self._must_stop() or not self._renew(index):
                return

    def handle_ttin(self) -> None:
        """Run one process more (SIGTTIN)."""
        process = self._try_to_start()
        if process:
            self.processes_num += 1
            self.processes.append(process)

    def handle_ttou(self) -> None:
        """Run one process less, but at least one (SIGTTOU)."""
        if self.processes_num > 1:
            self.processes_num -= 1
            self._retire(self.processes.pop())

    def _start(self) -> Process:
        process = ForkedProcess(self.config, self.sockets)
        process.start()
        return process

    def _try_to_start(self) -> Process | None:
        """Return a new process, or None without memory, file descriptors or processes."""
        try:
            return self._start()
        except OSError as error:
            logger.error("A server process cannot be started: %s", error)
            return None

    def _renew(self, index: int) -> bool:
        """Replace a process once its successor serves. Return whether it does."""
        successor = self._try_to_start()
        if not successor:
            return False
        is_ready = self._is_ready(successor)
        if self._must_stop():
            self.processes.append(successor)
            return False
        if not is_ready:
            logger.error("A server process did not start in time, so the restart ends.")
            self._kill(successor)
            return False
        process, self.processes[index] = self.processes[index], successor
        self._retire(process)
        return True

    def _is_ready(self, process: Process) -> bool:
        """Wait until the process serves, and look after the others meanwhile.

        Return False if it does not in time, or if the server must stop.
        """
        deadline = time.monotonic() + self.config.timeout_worker_healthcheck
        while time.monotonic() < deadline and process.process.is_alive() and not self._must_stop():
            if process.wait_until_ready(LOOK_SECONDS):
                return True
            self.keep_subprocess_alive()
        return False

    def _retire(self, process: Process) -> None:
        """Tell a process to stop, and do not wait for it."""
        process.process.terminate()  # uvicorn's own method would close the pipe, through which it still answers
        del self._unanswered[process]
        self._retiring[process] = time.monotonic() + KILL_SECONDS

    def _end_retiring(self) -> None:
        """Forget the processes that have stopped, and kill those that hang or take too long."""
        for process, deadline in list(self._retiring.items()):
            if time.monotonic() > deadline or not self._is_alive(process, MAX_UNANSWERED_AT_STOP):
                self._end(process)
                del self._retiring[process]

    def _must_stop(self) -> bool:
        """Return whether the server must stop. uvicorn handles a signal only after the one before."""
        if not STOP_SIGNALS.isdisjoint(self.signal_queue):
            self.should_exit.set()
        return self.should_exit.is_set()

    def _end(self, process: Process) -> None:
        """Kill a process that has not stopped in time."""
        if process.process.is_alive():
            logger.error("Server process %s does not stop and is killed.", process.pid)
        self._kill(process)

    def _kill(self, process: Process) -> None:
        process.kill()
        process.join()
        del self._unanswered[process]

    def _is_alive(self, process: Process, max_unanswered: int) -> bool:
        if not process.process.is_alive():
            return False
        while process.parent_conn.poll():
            process.parent_conn.recv()
            del self._unanswered[process]
        if process not in self._unanswered:
            process.parent_conn.send(b"ping")
        self._unanswered[process] += 1
        return self._unanswered[process] <= max_unanswered

    def _replace(self, index: int) -> None:
        process = self.processes[index]
        self._kill(process)
        if process.exitcode == STARTUP_FAILURE:
            logger.error("A server process cannot start, so the server stops.")
            self.should_exit.set()
            return
        logger.error("Server process %s ended with status %s and is replaced.", process.pid, process.exitcode)
        # Without a successor, the one that has ended stays, and the next look finds it.
        self.processes[index] = self._try_to_start() or process
