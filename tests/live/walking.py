"""A newcomer who follows the guides of `docs/` on one server: a shell that goes on, and a folder for each page."""

import os
import pty
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import preloaded
from tests.clean_environment import install
from tests.live.clicking_browser import environment as with_browser
from tests.live.oauth.services import blocks, running
from tests.live.sending import WorkerProcess
from tests.live.server import ROOT, LiveServer, full
from tests.programs import find_chromium
from tests.waiting import wait_until

README = "../README.md"
PROGRAM_SECONDS = 60


class Walk:
    """A newcomer with one shell, whose variables pass from guide to guide, on a server that nobody else uses."""

    def __init__(self, server: LiveServer, worker: WorkerProcess, wheel: Path, folder: Path) -> None:
        self.server, self.worker, self.folder, self._wheel = server, worker, folder, wheel
        self._state = folder / "state"
        self._state.write_text("")
        self._functions = blocks(README, "sh")[0]

    def run(self, script: str, page: "Page | None" = None, **variables: str) -> str:
        """Run commands in the shell, and return what they printed on standard output.

        Variables that they set stay set. Fails if a command fails.
        """
        given = {"AGENTGATE_URL": self.server.url, "HOME": str(self.folder), **(page.environment() if page else {})}
        exports = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in {**given, **variables}.items())
        lines = f". {self._state}\n{exports}set -a\n{self._functions}{script}\nexport -p > {self._state}"
        try:
            done = subprocess.run(
                ["sh", "-euc", lines],
                cwd=page.folder if page else self.folder,
                capture_output=True,
                text=True,
                timeout=PROGRAM_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"The program still waits, perhaps for the browser, which said: {late.stderr!r}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def variables(self) -> dict[str, str]:
        """Return the variables of the shell."""
        listed = self.run("env -0")
        return dict(one.split("=", 1) for one in listed.split("\0") if "=" in one)

    def manage(self, *arguments: str, warns: bool = False) -> str:
        """Return what `./dev manage` prints with these arguments. Status 1 is a failure, unless the command warns."""
        done = preloaded.run(["manage.py", *arguments], full(self.server.environment))
        assert done.returncode <= int(warns), done.stdout + done.stderr
        return done.stdout

    def mailed_code(self, address: str) -> str:
        """Return the code in the last mail to the address. Without a mail server, mails are in the logs."""
        mail = re.compile(rf"^To: {re.escape(address)}$(?:(?!^To: ).)*?^ +([0-9A-Z]{{5}}-[0-9A-Z]{{5}})$", re.M | re.S)
        logs = (self.server.log, self.worker.log)

        def codes() -> list[str]:
            return [code for log in logs for code in mail.findall(log.read_text(errors="replace"))]

        wait_until(lambda: bool(codes()), lambda: f"no mail to {address}", PROGRAM_SECONDS)
        return codes()[-1]

    def stop(self) -> None:
        self.worker.stop()
        self.server.stop()

    def start(self) -> None:
        self.server.start()
        self.worker.start()

    def page(self, name: str) -> "Page":
        return Page(self, name, self._wheel)


class Page:
    """A page of `docs/` that is followed in a folder of its own, where what it installs is installed once."""

    def __init__(self, walk: Walk, name: str, wheel: Path) -> None:
        self.walk, self.name = walk, name
        self.folder = walk.folder / Path(name).stem
        self.path = ROOT / "docs" / name
        self.text = " ".join(self.path.read_text().split())
        self.python = self.folder / "venv" / "bin" / "python"
        if not self.folder.exists():
            self.folder.mkdir()
            commands = re.findall(r"^pip install .*", "\n".join(blocks(name, "sh")), re.M)
            (command,) = commands or ['pip install "./sdk/python[cli]"']
            install(command, wheel, self.folder / "venv")
            self.add_program("agentgate", str(self.python), "from agentgate_oauth.cli import main\nmain()")

    def add_program(self, name: str, python: str, code: str) -> None:
        """Add a command to the path, as pip does."""
        script = self.python.with_name(name)
        script.write_text(f"#!{python}\n{code}\n")
        script.chmod(0o755)

    def block(self, part: str, language: str = "sh") -> str:
        """Return the block that has these words."""
        (found,) = [block for block in blocks(self.name, language) if part in block]
        return found

    def printed(self) -> str:
        """Return what the page says that its program prints."""
        said: str
        (said,) = re.findall(r"[Ii]t prints:\n\n```\n(.*?)^```", self.path.read_text(), re.M | re.S)
        return said

    def environment(self) -> dict[str, str]:
        """Return environment variables with the page's programs and clicks."""
        path = {"PATH": f"{self.python.parent}:{os.environ['PATH']}"}
        return {**path, **(with_browser(clicks[0], find_chromium()) if (clicks := self.clicks()) else {})}

    def clicks(self) -> list[str]:
        """Return what the page says that the reader clicks, each time that a program opens the browser."""
        return re.findall(r"opens your browser: (.*?)\. ", self.text)

    def answer(self, command: str, answer: str) -> str:
        """Run a shell command in a terminal, and answer what it asks. Return what the terminal shows."""
        environment = {**self.walk.variables(), **self.environment()}
        master, terminal = pty.openpty()
        with subprocess.Popen(
            ["sh", "-euc", command],
            cwd=self.folder,
            env=environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        ) as process:
            os.close(terminal)
            os.write(master, answer.encode())
            shown = b"".join(_read_all(master)).decode()
            assert process.wait(PROGRAM_SECONDS) == 0, shown
        os.close(master)
        return shown

    @contextmanager
    def serving(self, command: str, url: str) -> Iterator[None]:
        """Run a command of the page that goes on, until the block ends."""
        environment = {**self.walk.variables(), **self.environment()}
        with running(["sh", "-c", f"exec {command}"], environment, url, self.folder / "log"):
            yield


def _read_all(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # at its end
        while data := os.read(terminal, 65536):
            yield data
