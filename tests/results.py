"""A plugin that names the skipped tests at the end of a run, and stores the results for `./dev test`."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.programs import INSTALL
from tests.tally import Case, State

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", help="JSON file to write what became of each test and the missing packages to")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--results"):
        config.pluginmanager.register(_Cases(), _Cases.NAME)


class _Cases:
    """What became of each case that pytest collected, by node id."""

    NAME = "agentgate cases"

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.cases |= {item.nodeid: Case(_why_not_selected(item)) for item in items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self.cases.get(report.nodeid, Case(State.UNSELECTED))
        decides = report.when == "call" or report.outcome != "passed"
        state = _state_of(report) if decides else before.state
        self.cases[report.nodeid] = Case(state, before.seconds + report.duration)


def _why_not_selected(item: pytest.Item) -> State:
    for state in (State.SOAK, State.ELSEWHERE):
        if item.get_closest_marker(state):
            return state
    return State.UNSELECTED


def _state_of(report: pytest.TestReport) -> State:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return State.RAN
    return State.MISSING if _to_install(report) else State.SKIPPED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    missing = Counter(filter(None, map(_to_install, terminalreporter.stats.get("skipped", []))))
    if missing:
        terminalreporter.write_line(missing_line(missing), yellow=True)
    if path := config.getoption("--results"):
        counts = {name: len(terminalreporter.stats.get(name, [])) for name in OUTCOMES}
        cases = config.pluginmanager.getplugin(_Cases.NAME).cases
        Path(path).write_text(json.dumps({"counts": counts, "missing": missing, "cases": cases}))


def missing_line(missing: Counter[str]) -> str:
    """Return a line with the number of tests that were skipped and the packages that they need."""
    needed = ", ".join(f"{package} ({count})" for package, count in sorted(missing.items()))
    return f"Left out: {missing.total()} tests. To run them, install {needed}."


def _to_install(report: pytest.TestReport) -> str:
    """Return the package that a skipped test needs, or an empty string."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    found = re.fullmatch(f"Skipped: {INSTALL}(.*)", reason)
    return found[1] if found else ""
