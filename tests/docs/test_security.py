"""Each row of tests/threats.csv, from which the pages about threats are generated, names tests that exist."""

import ast
from functools import cache

from docs.tables import THREATS
from tests.live.server import ROOT
from tests.shared import cases

NAMED = sorted({name for row in THREATS for name in row["tests"].split()})


@cache
def names_in(path: str) -> set[str]:
    """Return the test functions and classes of a file, methods as `Class::method`, and an empty name for all of it."""
    tree = ast.parse((ROOT / path).read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = {f"{each.name}::{node.name}" for each in classes for node in each.body if hasattr(node, "name")}
    return {"", *methods, *(node.name for node in tree.body if hasattr(node, "name"))}


def test_every_row_names_tests_that_exist() -> None:
    parts = [(name, *name.partition("::")[::2]) for name in NAMED]
    assert [name for name, path, test in parts if not (ROOT / path).exists() or test not in names_in(path)] == []


@cases("column", ["section", "threat", "defense", "tests"])
def test_every_row_is_complete(column: str) -> None:
    assert THREATS
    assert [row for row in THREATS if not row[column] or None in row] == []


def test_every_section_is_on_a_page() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("security*.md"))
    assert [row["section"] for row in THREATS if f"generated: threats_{row['section']} -->" not in pages] == []
