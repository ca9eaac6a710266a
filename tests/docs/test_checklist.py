"""Each line of the pages' checklist, `tests/checklist.csv`, has a test that holds it."""

import csv

from tests.clean_environment import ROOT
from tests.promises.test_promises import NO_PROMISE, exists

with (ROOT / "tests" / "checklist.csv").open(encoding="utf-8", newline="") as file:
    LINES = list(csv.DictReader(file))


def test_it_has_51_lines() -> None:
    assert [line["number"] for line in LINES] == [str(number) for number in range(1, 52)]
    assert [line for line in LINES if not line["line"] or None in line] == []


def test_each_line_names_tests_that_exist() -> None:
    named = [(line["number"], test) for line in LINES for test in line["tests"].split("; ")]
    assert [(number, test) for number, test in named if not exists(test)] == []


def test_each_line_is_met() -> None:
    assert [line["number"] for line in LINES if NO_PROMISE.fullmatch(line["tests"])] == []
