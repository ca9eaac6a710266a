"""Several processes run the tests, and what happens in one of them is reported."""

import os
import subprocess
import sys
from pathlib import Path

from tests.forking import ROOT

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


def test_a_process_that_dies_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(FAILS)
    (tmp_path / "test_b.py").write_text(DIES)
    ended = run(tmp_path)
    assert ended.returncode != 0
    assert "A process ended with status -9 in test_b.py::test_dies" in ended.stdout
