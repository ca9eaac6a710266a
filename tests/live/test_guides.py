"""The guides do what they say: their programs run as written, with only what they install, and with their clicks."""

import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clean_environment import build_wheel, install
from tests.environment import Servers
from tests.live.clicking_browser import environment as with_browser
from tests.live.gate import Developer, Gate
from tests.live.oauth import node
from tests.live.oauth.services import agent_on, blocks, code_on, register, running
from tests.live.server import ROOT, Databases, LiveServer
from tests.programs import find_chromium, find_program
from tests.servers import free_port

pytestmark = pytest.mark.browser

README = "../README.md"
PROGRAM_SECONDS = 60


class Reader:
    """A newcomer who follows a page of `docs/` in a clean folder, with the API key of a new developer."""

    def __init__(self, page: str, wheel: Path, gate: Gate, developer: Developer, folder: Path) -> None:
        self.page, self.gate, self.developer, self.folder = page, gate, developer, folder
        self.text = " ".join((ROOT / "docs" / page).read_text().split())
        (command,) = re.findall(r"^pip install .*", "\n".join(blocks(page, "sh")), re.M)
        self.python = install(command, wheel, folder / "venv")

    def add_command_line(self) -> None:
        """Add `agentgate`, as pip does."""
        script = self.python.with_name("agentgate")
        script.write_text(f"#!{self.python}\nfrom agentgate_oauth.cli import main\nmain()\n")
        script.chmod(0o755)

    def answer(self, command: str, answer: str) -> str:
        """Run a shell command in a terminal, and answer what it asks. Return what the terminal shows."""
        master, terminal = pty.openpty()
        with subprocess.Popen(
            ["sh", "-c", f"set -eu\n{command}"],
            cwd=self.folder,
            env=self.environment(),
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

    def serve(self, path: str = "") -> Iterator[str]:
        """Register and run the page's service on a free port, and yield its address."""
        port = free_port()
        url = f"http://127.0.0.1:{port}{path}"
        variables = {**register(self.gate, self.developer, self.page, url), "PORT": str(port)}
        script = self.folder / "service.py"
        script.write_text(code_on(self.page))
        with running([str(self.python), str(script)], variables, url, self.folder / "log"):
            yield url

    def environment(self, **more: str) -> dict[str, str]:
        """Return environment variables with the page's clicks."""
        (clicks,) = re.findall(r"opens your browser: (.*?)\. ", self.text)
        return with_browser(
            clicks,
            find_chromium(),
            PATH=f"{self.python.parent}:{os.environ['PATH']}",
            HOME=str(self.folder),
            AGENTGATE_URL=self.gate.url,
            AGENTGATE_API_KEY=self.developer.api_key,
            **more,
        )

    def run(self, command: str, program: str = "", **more: str) -> str:
        """Run a shell command, which has the program in `$PROGRAM`, with the page's clicks. Return what it printed."""
        environment = self.environment(PROGRAM=program, **more)
        try:
            done = subprocess.run(
                ["sh", "-c", f"set -eu\n{command}"],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PROGRAM_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"The program still waits for the browser, which said: {late.stderr!r}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _read_all(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # at its end
        while data := os.read(terminal, 65536):
            yield data


@pytest.fixture(scope="module")
def own_server(databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    """A server for these tests only, so that one developer can have the prefix of the guides."""
    with LiveServer(databases.sqlite(), servers.folder, 1) as server:
        yield server


@pytest.fixture(scope="module")
def own_developer(own_server: LiveServer) -> Developer:
    return Gate(own_server.url).developer()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def reader(own_server: LiveServer, own_developer: Developer, wheel: Path, tmp_path: Path) -> Callable[[str], Reader]:
    find_program("curl")
    return lambda page: Reader(page, wheel, Gate(own_server.url), own_developer, tmp_path)


@pytest.mark.parametrize("page", ["protect-django.md", "protect-fastapi.md"])
def test_each_call_of_the_agent_gets_the_status_beside_it(reader: Callable[[str], Reader], page: str) -> None:
    newcomer = reader(page)
    for url in newcomer.serve():
        program = re.sub(r'SERVICE = ".*"', f'SERVICE = "{url}"', agent_on(page))
        printed = newcomer.run('python -c "$PROGRAM"', program)
    said = re.findall(r"^call\(.*# (\d+):", program, re.M)
    assert [line.split()[0] for line in printed.splitlines()] == said == ["200", "403", "401"]


def test_the_client_of_the_fastmcp_page_prints_what_the_page_says(reader: Callable[[str], Reader]) -> None:
    newcomer = reader("protect-fastmcp.md")
    (command,) = [block for block in blocks(newcomer.page, "sh") if "fastmcp import Client" in block]
    (said,) = re.findall(r"It prints `(.*?)`", newcomer.text)
    for url in newcomer.serve("/mcp"):
        printed = newcomer.run(command.replace("http://127.0.0.1:9003/mcp", url))
    assert printed == f"{said}\n"


def test_the_program_of_readme_prints_what_readme_says(reader: Callable[[str], Reader]) -> None:
    newcomer = reader(README)
    (program,) = blocks(README, "python")
    (said,) = re.findall(r"^It prints:\n\n```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    steps = "\n".join(block for block in blocks(README, "sh") if "pip install" not in block)
    assert newcomer.run(f'{steps}\npython -c "$PROGRAM"', program).endswith(f"\n{said}")


def test_the_gateway_reads_asks_before_it_writes_and_refuses_as_its_page_says(reader: Callable[[str], Reader]) -> None:
    node.install()
    find_program("npx")
    newcomer = reader("gateway.md")
    newcomer.add_command_line()
    # npx takes the server from here, as it would from the registry.
    (newcomer.folder / "node_modules").symlink_to(node.FOLDER / "node_modules")
    url = f"http://127.0.0.1:{free_port()}/mcp"
    (init,) = [block for block in blocks(newcomer.page, "sh") if "gateway init" in block]
    shown = newcomer.answer(init.replace(" init -- ", f" init --identifier {url} -- "), "y\n")
    assert "agentgate gateway run" in shown
    (program,) = [block for block in blocks(newcomer.page, "python") if "# ask.py" in block]
    (said,) = re.findall(r"It prints:\n\n```\n(.*?)^```", (ROOT / "docs/gateway.md").read_text(), re.M | re.S)
    command = ["sh", "-c", "exec agentgate gateway run"]
    with running(command, newcomer.environment(), url.replace("/mcp", "/health"), newcomer.folder / "log"):
        program = program.replace("http://127.0.0.1:9000/mcp", url)
        printed = newcomer.run('python -c "$PROGRAM"', program, PROFILE=str(newcomer.folder / "profile"))
    expected = said.replace("/home/ada", str(newcomer.folder))
    assert re.fullmatch(re.escape(expected).replace(re.escape("..."), ".*"), printed), printed
