"""Several processes run the tests, and what happens in one of them is reported."""

import os
import subprocess
import sys
from pathlib import Path

from tests.forking import ROOT
from tests.shared import cases

FAILS = """
import pytest

def test_passes(tmp_path): assert tmp_path.exists()
def test_prints_and_fails(): print("printed before"); assert 1 == 2
@pytest.mark.skip(reason="not here")
def test_is_skipped(): pass
"""
DIES = """
import os, signal

def test_dies(): os.kill(os.getpid(), signal.SIGKILL)
"""
STOPS = """
import pytest

def test_stops(): pytest.exit("enough")
def test_is_left(): pass
"""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-p", "tests.environment"]
    command += ["-p", "tests.split", "-p", "no:cacheprovider", "--processes", "2", str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_results_of_all_processes_are_reported(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(FAILS.replace("1 == 2", f"'{name}' == ''"))
    ended = run(tmp_path)
    assert ended.returncode == 1, ended.stdout
    assert "2 failed, 2 passed, 2 skipped" in ended.stdout
    assert "'test_a.py' == ''" in ended.stdout
    assert "'test_b.py' == ''" in ended.stdout
    assert ended.stdout.count("printed before") == 2 * 2  # the source of the test, and what it printed


@cases(
    ("source", "said"),
    [
        (DIES, "A process ended with status -9 in test_b.py::test_dies"),
        (STOPS, "2 tests did not run to their end"),
    ],
)
def test_a_process_that_ends_early_fails_the_run(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_passes(): pass")
    (tmp_path / "test_b.py").write_text(source)
    ended = run(tmp_path)
    assert ended.returncode not in (0, 1)
    assert said in ended.stdout
