"""Processes that a supervisor forks. It has imported the application, so they start in a fraction of a second.

uvicorn's own processes import the application again. That costs each of them a second of CPU. Forking is safe because
the supervisor has no threads and no open connections.
"""

import logging
import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from socket import socket

from uvicorn import Config
from uvicorn.supervisors import multiprocess

from server.sequencer import run_beside

logger = logging.getLogger(__name__)

FORK = multiprocessing.get_context("fork")
# The sequencer finishes its transaction. If it takes longer, it is killed.
SEQUENCER_STOP_SECONDS = 5.0


class ForkedProcess(multiprocess.Process):
    """A process that serves requests."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.process = FORK.Process(target=self._serve, args=(sockets,))  # type: ignore[assignment]

    def start(self) -> None:
        start(self.process)

    def _serve(self, sockets: list[socket]) -> None:
        use_own_signals()
        self.target(sockets)


class Sequencer:
    """The process of the sequencer."""

    def __init__(self, sockets: list[socket]) -> None:
        self._sockets = sockets
        self._is_wanted = False
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start it, or let `keep_alive` try again without memory or processes."""
        self._is_wanted, self._process = True, None
        process = FORK.Process(target=self._run, args=(os.getpid(),), name="sequencer")
        try:
            start(process)
        except OSError as error:
            logger.error("The sequencer cannot be started: %s", error)
        else:
            self._process = process

    def keep_alive(self) -> None:
        """Start it again if it has ended or could not be started."""
        if not self._is_wanted or (self._process and self._process.is_alive()):
            return
        if self._process:
            logger.error("The sequencer ended with status %s and is started again.", self._process.exitcode)
        self.start()

    def stop(self) -> None:
        if self._process and self._process.is_alive():
            self._process.terminate()
            self._process.join(SEQUENCER_STOP_SECONDS)
            self._process.kill()
            self._process.join()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def _run(self, server: int) -> None:
        os.setsid()  # Ctrl-C in a terminal stops only the server, which then stops this process
        for listening in self._sockets:  # otherwise clients could connect to a server that has stopped
            listening.close()
        use_own_signals()
        run_beside(server)


def start(process: BaseProcess) -> None:
    """Start a process. A signal waits until the process handles it itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, multiprocess.SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def use_own_signals() -> None:
    """Let signals act on this process, and not as they do on the supervisor."""
    for number in multiprocess.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, multiprocess.SIGNALS)
