"""`./dev bench --quick` runs. How fast anything is depends on the machine, so no test asserts it."""

import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import parse
from tests.live.server import ROOT
from tests.programs import find_program
from tests.shared import cases

RATIOS = ("verify_over_floor", "verify_over_naive", "verify_over_dot", "p99_over_floor")


@pytest.mark.soak
def test_a_quick_run_ends_in_one_line_of_json() -> None:
    find_program("wrk")
    options = ["--quick", "--store=sqlite", "--seconds=1", "--warm-up=1", "--pairs=1"]
    command = [sys.executable, "-m", "benchmarks", *options]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["store"], line["workers"]) == ("sqlite", 1)
    assert all(line[name] > 0 for name in RATIOS)
    assert line["entries"] >= line["answers"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("options", [("--issuing", "--store=sqlite"), ("--store=postgresql_2ms", "--socket")])
def test_tokens_and_a_slow_disk_are_measured(options: tuple[str, str]) -> None:
    find_program("wrk")
    find_program("gcc", "cc")
    command = [sys.executable, "-m", "benchmarks", "--seconds=1", "--pairs=1", *options]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert "| not measured |" in done.stdout


@pytest.mark.soak
def test_the_gateway_is_measured_beside_a_bare_proxy() -> None:
    command = [sys.executable, "-m", "benchmarks", "--gateway", "--seconds=1", "--warm-up=1", "--pairs=1"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert "| a process, over stdio |" in done.stdout
    assert "| an HTTP endpoint |" in done.stdout


@cases("wrong", ["--references=other", "--store=oracle", "--connections=x"])
def test_a_wrong_option_is_refused(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", wrong])

    with pytest.raises(SystemExit, match="2"):
        parse()

    assert wrong.partition("=")[0] in capsys.readouterr().err
