"""`./dev bench --quick` runs. How fast anything is depends on the machine, so no test asserts it."""

import json
import subprocess
import sys

import pytest

from tests.live.server import ROOT
from tests.programs import find_program

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


@pytest.mark.parametrize("wrong", [["--references=other"], ["--store=oracle"], ["--connections=x"]])
def test_a_wrong_option_is_refused(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *wrong], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert wrong[0].partition("=")[0] in done.stderr
