"""What became of each test in all parts of `./dev test`, and whether what it left out is what `left_out.csv` says.

The parts choose their tests by folders and markers, so a test that no part chooses would not be missed by any of them.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

TABLE = Path("tests/left_out.csv")


class State(StrEnum):
    """What became of a case in a part. In several parts, the first of these counts."""

    RAN = "ran"
    # It needs a program that is not installed. In CI, it fails instead.
    MISSING = "missing"
    SKIPPED = "skipped"
    SOAK = "soak"
    # It runs on the other database only (`stores.py`).
    ELSEWHERE = "elsewhere"
    UNSELECTED = "unselected"


STATES = list(State)


class Case(NamedTuple):
    """What became of a case: a test with its parameters."""

    state: State
    seconds: float = 0.0


class LeftOut(NamedTuple):
    """A row of the table: how many cases whose node ids begin with `tests` did not run, and why."""

    tests: str
    state: State
    cases: int
    reason: str

    def __str__(self) -> str:
        return f"{self.tests},{self.state},{self.cases}"


class Folder(NamedTuple):
    """How many cases of a folder were collected, ran and were left out, and how long the tests took."""

    name: str
    collected: int
    ran: int
    left: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:34} {self.collected:9} {self.ran:6} {self.left:12} {self.seconds:8.1f}"


HEADING = f"{'folder':34} {'collected':>9} {'run':>6} {'left to soak':>12} {'seconds':>8}"


def combined(parts: Iterable[Mapping[str, Sequence[object]]]) -> dict[str, Case]:
    """Return what became of each case, from the states and seconds by node id of each part."""
    found: dict[str, Case] = {}
    for cases in parts:
        for test, (state, seconds) in cases.items():
            before = found.get(test, Case(State.UNSELECTED))
            found[test] = Case(min(State(state), before.state, key=STATES.index), before.seconds + seconds)
    return found


def files_of(root: Path) -> set[str]:
    """Return the paths of all files with tests."""
    return {file.as_posix() for file in root.rglob("test_*.py")}


def folders(cases: Mapping[str, Case], files: Iterable[str]) -> list[Folder]:
    """Return a row for each folder that has a file with tests."""
    found: dict[str, list[Case]] = {_folder_of(file): [] for file in files}
    for test, case in cases.items():
        found.setdefault(_folder_of(test), []).append(case)
    return [_folder(name, found[name]) for name in sorted(found)]


def _folder_of(test: str) -> str:
    return test.partition("::")[0].rpartition("/")[0]


def _folder(name: str, cases: Sequence[Case]) -> Folder:
    ran = sum(case.state is State.RAN for case in cases)
    missing = sum(case.state is State.MISSING for case in cases)
    return Folder(name, len(cases), ran, len(cases) - ran - missing, sum(case.seconds for case in cases))


def read_table(path: Path) -> list[LeftOut]:
    with path.open(newline="") as file:
        return [
            LeftOut(row["tests"], State(row["state"]), int(row["cases"]), row["reason"]) for row in csv.DictReader(file)
        ]


def problems(cases: Mapping[str, Case], files: Iterable[str], rows: Sequence[LeftOut]) -> Iterator[str]:
    """Yield a sentence for each folder or file that did not run, and for each difference from the rows."""
    collected = {test.partition("::")[0] for test in cases}
    for folder in folders(cases, files):
        if not folder.ran:
            yield f"No test of {folder.name} ran."
    for file in sorted(set(files) - collected):
        yield f"No part of ./dev test collects {file}."
    yield from _differences(cases, rows)


def _differences(cases: Mapping[str, Case], rows: Sequence[LeftOut]) -> Iterator[str]:
    found: dict[LeftOut, int] = dict.fromkeys(rows, 0)
    unlisted: dict[tuple[str, State], int] = defaultdict(int)
    for test, case in cases.items():
        if case.state in (State.RAN, State.MISSING):
            continue
        if row := _row_of(test, case.state, rows):
            found[row] += 1
        else:
            unlisted[test.partition("::")[0], case.state] += 1
    for row, number in found.items():
        if not row.reason:
            yield f"{TABLE}: give a reason: {row}"
        if number != row.cases:
            yield f"{TABLE}: {number} were left out, not {row.cases}: {row}"
    for (file, state), number in sorted(unlisted.items()):
        yield f"{TABLE} has no row for {number} that were left out: {file},{state},{number}"


def _row_of(test: str, state: State, rows: Sequence[LeftOut]) -> LeftOut | None:
    """Return the row that says most of the test's name."""
    matching = [row for row in rows if row.state is state and _is_of(test, row.tests)]
    return max(matching, key=lambda row: len(row.tests), default=None)


def _is_of(test: str, name: str) -> bool:
    return test.startswith(name) and test[len(name) :][:1] in ("", "/", ":", "[")
