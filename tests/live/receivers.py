"""The receivers of docs/events.md, as written there: programs with a reference library, and commands of a shell."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import production
from tests.live.oauth import node
from tests.live.oauth.services import blocks, command_line, running
from tests.programs import find_program

PAGE = "events.md"


class Receiver(NamedTuple):
    """A receiver that runs. It prints what it has accepted."""

    url: str
    log: Path

    def accepted(self) -> list[str]:
        """Return the ids of the events, in the order in which they came."""
        return [line.split()[2] for line in self.log.read_text().splitlines() if " log_" in line]


type Start = Callable[[str, int, Path], AbstractContextManager[Receiver]]


@contextmanager
def in_python(secret: str, port: int, folder: Path) -> Iterator[Receiver]:
    """Run the receiver in Python, in isolated mode, so that it finds no module of this project."""
    (program,) = blocks(PAGE, "python")
    script = folder / "receiver.py"
    script.write_text(program)
    with _receiver([production.python(), "-I", str(script)], secret, port, folder) as receiver:
        yield receiver


@contextmanager
def in_javascript(secret: str, port: int, folder: Path) -> Iterator[Receiver]:
    """Run the receiver on Node."""
    (program,) = blocks(PAGE, "js")
    executable = node.install()
    script = node.FOLDER / "receiver.mjs"
    script.write_text(program)
    with _receiver([str(executable), str(script)], secret, port, folder) as receiver:
        yield receiver


@contextmanager
def following(folder: Path, **environment: str) -> Iterator[None]:
    """Run the commands that follow the feed, in the folder, until the block ends. The syslog is the socket `syslog`."""
    programs = command_line(folder)
    logger = f"exec {find_program('bsdutils', 'logger')} --socket {folder / 'syslog'}"
    (programs / "logger").write_text(f'#!/bin/sh\n{logger} "$@"\n')
    (programs / "logger").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    begun = [
        subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env={**os.environ, **environment, "PATH": path, "HOME": str(folder)},
            start_new_session=True,
        )
        for command in blocks(PAGE, "sh")
        if command.startswith("agentgate events --follow")
    ]
    try:
        yield
    finally:
        for process in begun:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)


@contextmanager
def _receiver(command: list[str], secret: str, port: int, folder: Path) -> Iterator[Receiver]:
    log, url = folder / f"receiver-{port}.log", f"http://127.0.0.1:{port}/"
    with running(command, {"WEBHOOK_SECRET": secret, "PORT": str(port)}, url, log):
        yield Receiver(url, log)
