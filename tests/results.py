"""A plugin that names the skipped tests at the end of a run, and stores the results for `./dev test`."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.programs import INSTALL

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", help="JSON file to write the number of tests per outcome and the missing packages to")


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    left_out = Counter(filter(None, map(_to_install, terminalreporter.stats.get("skipped", []))))
    if left_out:
        terminalreporter.write_line(left_out_line(left_out), yellow=True)
    if path := config.getoption("--results"):
        counts = {name: len(terminalreporter.stats.get(name, [])) for name in OUTCOMES}
        Path(path).write_text(json.dumps({"counts": counts, "left_out": left_out}))


def left_out_line(left_out: Counter[str]) -> str:
    """Return a line with the number of tests that were skipped and the packages that they need."""
    needed = ", ".join(f"{package} ({count})" for package, count in sorted(left_out.items()))
    return f"Left out: {left_out.total()} tests. To run them, install {needed}."


def _to_install(report: pytest.TestReport) -> str:
    """Return the package that a skipped test needs, or an empty string."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    found = re.fullmatch(f"Skipped: {INSTALL}(.*)", reason)
    return found[1] if found else ""
