"""agentgate-audit: its own checks, its wheel, the commands of its README, and Go's view of the same files."""

import re
import shlex
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from archive_builder import build as build_archive
from log_builder import LogBuilder, Signer, b64, canonical, moment
from receipt_builder import QUESTION, payload, sign

from tests.programs import find_program
from tests.sdk.conftest import AUDIT
from tests.sdk.go_tools import check_with_go
from tests.sdk.test_package import clean_environment

README = (AUDIT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:agentgate-audit|curl) .*$", README, re.MULTILINE)
URL = "https://gate.example.com/api/v1/audit"
WITNESS = Signer("witness.example.org/w1", kind=4, seed=2)


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
        cwd=AUDIT,
        env=clean_environment(PYRIGHT_PYTHON_IGNORE_WARNINGS="1"),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


@pytest.mark.soak
def test_no_flipped_byte_at_all_passes():
    """The package's own tests flip only some of the bytes."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        "-p",
        "no:schemathesis",
        "-k",
        "flipped_byte",
    ]
    environment = clean_environment(EVERY_BYTE="1")
    ran = subprocess.run(command, cwd=AUDIT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_the_package_knows_nothing_of_the_server():
    imported = set()
    for path in (AUDIT / "src").rglob("*.py"):
        imported |= set(re.findall(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert imported - sys.stdlib_module_names == {"cryptography"}


@pytest.fixture(scope="module", params=["source", pytest.param("wheel", marks=pytest.mark.soak)])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command from the sources, or in a new environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("audit")
    return from_source(folder) if request.param == "source" else from_wheel(folder)


def from_source(folder: Path) -> Path:
    program = folder / "agentgate-audit"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={AUDIT}/src exec {sys.executable} -m agentgate_audit "$@"\n')
    program.chmod(0o755)
    return program


def from_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(AUDIT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"agentgate_audit", "agentgate_audit-0.1.0.dist-info"}
    assert "agentgate_audit/py.typed" in names
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[archive]"]
    subprocess.run(install, check=True, env=clean_environment())
    return python.parent / "agentgate-audit"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The public part of a log at a URL: its key, its checkpoint and its tiles."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    folder = tmp_path / "tiles"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def log() -> LogBuilder:
    """The log of which the README shows the export."""
    log = LogBuilder()
    log.allow(at=0)
    log.fill(2)
    log.add("consent.approved", consentId="con_2")
    log.allow(consentId="con_2", amount={"currency": "EUR", "value": "12.5"})
    log.fill(2)
    for _ in range(3):
        log.deny()
    hand_over(log)
    return log


def hand_over(log: LogBuilder) -> None:
    """Let an agent hand work to another one, which acts once."""
    end, ids = {"expiresAt": moment(31 * 86_400)}, {"consentId": "con_3"}
    connection = {"scopes": ["email:read"], "metadata": {**end, "delegation": {"after": "developer"}}}
    log.add("consent.approved", connection=connection, **ids)
    chain = [("agt_1", None, "org_1"), ("agt_2", "del_1", "org_1")]
    bounds = {"parentId": None, "fromFamilyId": "fam_1", "expiresAt": moment(3600), "maxDepth": 2}
    limit = {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 3600, "scope": "per_user"}}
    metadata = {**bounds, "limits": {"email:read": ["rate_limit"]}}
    call = {"terms": {"limits": {"email:read": [limit]}}}
    log.add("delegation.created", chain=chain, metadata=metadata, call=call, **ids)
    log.add("delegation.redeemed", chain=chain, metadata={"familyId": "fam_2"}, **ids)
    log.allow(chain=chain, **ids)


def prepare(folder: Path, log: LogBuilder) -> None:
    """Write every file that the README names."""
    tiles = folder / "tiles"
    (tiles / "key").write_text(f"{log.signer.vkey}\n")
    (tiles / "checkpoint").write_text(log.checkpoint(5))
    (folder / "proof.json").write_text(canonical(log.proof(4)))
    log.export(witnesses=(WITNESS,)).write(folder / "history.jsonl")
    (folder / "april.checkpoint").write_text(log.checkpoint())
    log.tree.write_tiles(tiles, len(log.leaves))
    build_archive(month=folder / "202601")
    (folder / "witness.key").write_text(WITNESS.vkey)
    (folder / "decision.json").write_text(canonical({"allowed": True, "receipt": sign(payload())}))
    (folder / "question.json").write_text(canonical(QUESTION))


def test_every_command_of_the_readme_runs(program: Path, log: LogBuilder, served: str, tmp_path: Path):
    prepare(tmp_path, log)
    programs = {"agentgate-audit": str(program), "curl": f"{find_program('curl')} --silent --show-error --fail"}
    assert len(COMMANDS) == 13
    for line in COMMANDS:
        name, arguments = line.replace(URL, served).split(" ", 1)
        command = shlex.split(f"{programs[name]} {arguments}")
        if "witness --listen" in line:
            check_witness(command, tmp_path)
            continue
        ran = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, ""), line + ran.stdout + ran.stderr
        assert "lineage" not in line or ran.stdout.split() == shown_below(line)


def shown_below(command: str) -> list[str]:
    """Return the words of the output that the README shows for a command."""
    return README.partition(f"{command}\n```\n\n```\n")[2].partition("```")[0].split()


def check_witness(command: list[str], folder: Path) -> None:
    port = command.index("127.0.0.1:8421")
    command[port] = "127.0.0.1:0"
    with subprocess.Popen(command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("verifier key  witness.example.org/w1+")
        assert process.stdout.readline().startswith("listening on  127.0.0.1:")
        process.terminate()


def test_the_library_example_of_the_readme_runs(log: LogBuilder, tmp_path: Path, served: str):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    prepare(tmp_path, log)
    (tmp_path / "gate.key").write_text(log.signer.vkey)
    ran = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(AUDIT / "src")),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "11 15\n"), ran.stderr


@pytest.fixture(scope="module")
def go_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("go")


@pytest.fixture
def files(log: LogBuilder, tmp_path: Path) -> Path:
    """The log in files, for Go: the package's own tests already read what the same builder makes."""
    (tmp_path / "key").write_text(log.signer.vkey)
    (tmp_path / "witness").write_text(WITNESS.vkey)
    (tmp_path / "cosigned").write_text(log.checkpoint(None, WITNESS))
    for index in range(len(log.leaves)):
        (tmp_path / f"proof-{index}").write_text(canonical(log.proof(index)))
        (tmp_path / f"checkpoint-{index}").write_text(log.checkpoint(index))
        hashes = log.tree.proof(index, len(log.leaves))
        (tmp_path / f"consistency-{index}").write_text("".join(f"{b64(node)}\n" for node in hashes))
    (tmp_path / "newest").write_text(log.checkpoint())
    return tmp_path


@pytest.mark.soak
def test_go_reads_checkpoints_and_proofs(go_folder: Path, files: Path, log: LogBuilder):
    expected = (0, f"{len(log.leaves)} {b64(log.tree.mth(0, len(log.leaves)))}\n", "")
    proofs = sorted(files.glob("proof-*"))
    older = [(files / f"checkpoint-{index}", files / f"consistency-{index}") for index in range(1, len(proofs))]
    runs = [
        ("checkpoint", files / "newest"),
        ("cosigned", files / "witness", files / "cosigned"),
        ("proof", *proofs),
        *(("consistency", old, files / "newest", proof) for old, proof in older),
    ]
    for arguments in runs:
        ran = check_with_go(go_folder, files / "key", *arguments)
        assert (ran.returncode, ran.stdout, ran.stderr) == expected


@pytest.mark.soak
def test_go_refuses_what_does_not_hold(go_folder: Path, files: Path, log: LogBuilder):
    """Otherwise its agreement would mean nothing."""
    (files / "other-key").write_text(Signer(seed=9).vkey)
    (files / "forged").write_text((files / "newest").read_text().replace("time 2026", "time 2025"))
    (files / "forged-proof").write_text(canonical({**log.proof(4), "index": 5}))
    runs = [
        (files / "other-key", "checkpoint", files / "newest"),
        (files / "key", "checkpoint", files / "forged"),
        (files / "key", "cosigned", files / "witness", files / "newest"),
        (files / "key", "proof", files / "forged-proof"),
        (files / "key", "consistency", files / "checkpoint-3", files / "newest", files / "consistency-5"),
    ]
    for arguments in runs:
        ran = check_with_go(go_folder, *arguments)
        assert (ran.returncode, ran.stdout) == (1, ""), arguments
        assert ran.stderr
