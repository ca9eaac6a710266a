"""Each promise on a page, in a mail and in a guide has a check that holds it.

The tables have a row for each sentence with "cannot", "always", "never", "only", "each time", "every time" or "until":
the sentence, and the test that fails if it is no longer true. A sentence that promises nothing of the program, such as
an instruction, has "-" and why. What the scopes of the catalogue cannot do is asked of verify in
`tests/decisions/test_cannot.py`.
"""

import csv
import re
from collections.abc import Callable
from pathlib import Path

from tests.clean_environment import ROOT
from tests.promises.finding import in_guides, on_pages
from tests.shared import cases

TABLES = {"pages.csv": on_pages, "guides.csv": in_guides}
TEST = re.compile(r"(?P<path>(?:tests|sdk)/[\w/.-]+\.py)::(?:(?P<class>\w+)::)?(?P<test>test_\w+)")
NO_PROMISE = re.compile(r"- \w.+")


def rows(name: str) -> list[list[str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@cases(("name", "find"), TABLES.items())
def test_each_sentence_has_a_row(name: str, find: Callable[[], set[str]]) -> None:
    listed, found = {row[0] for row in rows(name)}, find()
    assert sorted(found - listed) == [], "Add a row with the test that holds it."
    assert sorted(listed - found) == [], "The sentence is gone: delete its row."


@cases("name", TABLES)
def test_each_row_names_a_test_that_exists(name: str) -> None:
    assert [row for row in rows(name) if len(row) != 2 or not all(map(exists, row[1].split("; ")))] == []


def exists(check: str) -> bool:
    if NO_PROMISE.fullmatch(check):
        return True
    named = TEST.fullmatch(check)
    if named is None or not (ROOT / named["path"]).is_file():
        return False
    text = (ROOT / named["path"]).read_text()
    has_class = named["class"] is None or f"class {named['class']}" in text
    return has_class and f"def {named['test']}(" in text
