"""Our programs, forked from one process that has imported their packages: starting Python takes a second of CPU."""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from tempfile import TemporaryFile
from typing import IO

from tests import production
from tests.forking import ROOT
from tests.servers import die_with_parent

RUN_SECONDS = 120
SERVERS = {("-m", "server.main"), ("-m", "server.worker")}
# With other values or https, the modules read other settings, so that preloading them would be in vain.
READ_BY_IMPORTS = ("AUDIT_ARCHIVE_DIR", "DEBUG", "STATIC_ROOT")


class Program:
    """A running program, with methods of `subprocess.Popen`."""

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self.pid = int(reply.recv(100))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], seconds)[0]:
            self.returncode = int(self._reply.recv(100))
            self._reply.close()
        return self.returncode


def start(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes]) -> Program:
    """Do what `python ARGUMENTS` does (`-m MODULE ...` or `FILE ...`) in the checkout's folder.

    The program ends with this process.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        request = json.dumps([list(arguments), dict(environment)]).encode()
        process = _forking_process("tests.forking_servers" if _is_usual(arguments, environment) else "tests.forking")
        socket.send_fds(process, [request], [theirs.fileno(), output.fileno(), errors.fileno()])
    return Program(ours)


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a program that must end, and return its status and what it printed. Raises `TimeoutExpired`."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        status = start(arguments, environment, output, errors).wait(RUN_SECONDS)
        return subprocess.CompletedProcess(list(arguments), status, _text(output), _text(errors))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _is_usual(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether this is a server, a worker or a management command, and its modules read the usual settings."""
    if arguments[0] != "manage.py" and tuple(arguments[:2]) not in SERVERS:
        return False
    is_https = environment.get("API_URL", "").startswith("https:")
    return not is_https and all(environment.get(name) == os.environ.get(name) for name in READ_BY_IMPORTS)


@cache
def _forking_process(module: str) -> socket.socket:
    """Start the process that forks, and return the socket on which it takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [production.python(), "-m", module, str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
    return ours
