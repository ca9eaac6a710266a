"""The package: its own tests, its wheel in an empty environment, and its types in a program that uses it."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.live.gate import Agent, Gate, Person
from tests.sdk.conftest import SDK

PROGRAM = """
# pyright: strict
import asyncio
import sys
from typing import Optional

from agentgate_oauth import (
    AgentGateAdmin, AgentGateClient, AsyncAgentGateClient, Decision, Session, SessionRecord, SessionStore, rules,
)


def act(base_url: str, client_id: str, client_secret: str, code: str) -> bool:
    with AgentGateClient(base_url, client_id, client_secret) as gate:
        session: Session = gate.create_session(code)
        decision: Decision = session.verify(["email:send"], action="email:send", context={"ip": "203.0.113.9"})
        resumed: Optional[Session] = gate.resume_session(session.key)
        session.revoke()
        return decision.allowed and resumed is not None


async def act_later(gate: AsyncAgentGateClient, code: str) -> list[str]:
    session = await gate.create_session(code)
    first: asyncio.Task[Decision] = asyncio.create_task(session.verify(["email:read"]))
    await first
    decisions = await asyncio.gather(*(session.verify(["email:read"]) for _ in range(3)))
    return [decision.reason or "allowed" for decision in decisions]


def manage(admin: AgentGateAdmin) -> None:
    agent = admin.create_agent(name="x", redirect_uris=["https://x/cb"], allowed_scopes=["email:read"])
    secret: str = agent.client_secret
    admin.create_policy(name=secret[:1], agent_id=agent.id, rules=[rules.ip_allowlist("10.0.0.0/8")])
    for entry in admin.iter_audit_logs(agent_id=agent.id):
        print(entry.timestamp.isoformat())


class DictStore:
    def __init__(self) -> None:
        self.records: dict[str, SessionRecord] = {}

    def load(self, key: str) -> Optional[SessionRecord]:
        return self.records.get(key)

    def save(self, key: str, record: SessionRecord) -> None:
        self.records[key] = record

    def delete(self, key: str) -> None:
        self.records.pop(key, None)

    def try_lock(self, key: str):  # type: ignore[no-untyped-def]
        return lambda: None


store: SessionStore = DictStore()

if __name__ == "__main__":
    print(act(*sys.argv[1:]))
"""
# What README says of an installed wheel is also done in `tests/live/test_guides.py`, which needs no network.
from_a_wheel = pytest.mark.soak
CHECKERS = ["mypy", pytest.param("pyright", marks=pytest.mark.node)]
# httpx brings httpcore, through which the SDK bounds how long a response takes.
DEPENDENCIES = {"python": ["httpx", "httpcore"], "audit": ["cryptography"]}
MISTAKES = {
    "unknown_argument": 'AgentGateAdmin("https://x", "k").create_agent(nam="x")',
    "not_awaited": 'AsyncAgentGateClient("https://x", "a", "b").create_session("c").verify(["x"])',
    "another_type": 'text: str = AgentGateAdmin("https://x", "k").get_agent("agt_1")',
}


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))}
    return {**kept, **more}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(SDK)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment in which only the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, env=clean_environment())
    return python


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


@from_a_wheel
def test_the_wheel_contains_the_package_and_its_types(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert "agentgate_oauth/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"agentgate_oauth", "agentgate_oauth-0.1.0.dist-info"}


@pytest.mark.parametrize("package", DEPENDENCIES)
def test_each_package_has_few_dependencies(package: str):
    project = tomllib.loads((SDK.parent / package / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.10"
    found = [name for one in project["dependencies"] for name in re.findall(r"^[\w-]+", one)]
    assert found == DEPENDENCIES[package]


@from_a_wheel
def test_an_installed_wheel_works(empty_environment: Path, program: Path, gate: Gate, agent: Agent, person: Person):
    arguments = [gate.url, agent.client_id, agent.client_secret, gate.code(agent, person)]
    ran = subprocess.run(
        [str(empty_environment), str(program), *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr


@from_a_wheel
def test_without_the_extra_the_command_line_names_it(empty_environment: Path):
    ran = subprocess.run([str(empty_environment.parent / "agentgate")], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "agentgate-oauth[cli]" in ran.stderr


@from_a_wheel
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_program_passes_strict_type_checks_and_mistakes_fail(checker: str, empty_environment: Path, tmp_path: Path):
    programs = {"program": "", **MISTAKES}
    for name, mistake in programs.items():
        (tmp_path / f"{name}.py").write_text(f"{PROGRAM}\n{mistake}\n", encoding="utf-8")
    found = run_checker(checker, empty_environment, tmp_path)
    assert {name for name in programs if f"{name}.py:" in found} == set(MISTAKES), found


def run_checker(checker: str, python: Path, folder: Path) -> str:
    """Return what the type checker found in the files of the folder: a line for each error, with the file's name."""
    commands = {
        "mypy": ["mypy", "--strict", f"--python-executable={python}", f"--config-file={os.devnull}"],
        "pyright": ["pyright", f"--pythonpath={python}"],
    }
    command = [sys.executable, "-m", *commands[checker], *sorted(path.name for path in folder.glob("*.py"))]
    ran = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True)
    errors = [line for line in ran.stdout.splitlines() if "error" in line]
    return "\n".join(errors) or ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", "-p", "no:schemathesis"],
        pytest.param(["mypy"], marks=pytest.mark.soak),
        pytest.param(["pyright", "--pythonpath", sys.executable], marks=[pytest.mark.node, pytest.mark.soak]),
    ],
    ids=lambda command: command[0],
)
def test_the_package_passes_its_own_checks(command: list[str]):
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=SDK,
        env=clean_environment(PYRIGHT_PYTHON_IGNORE_WARNINGS="1"),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
