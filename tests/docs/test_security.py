"""The pages about threats name a test for each attack, and every named test exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = [
    line
    for page in sorted((ROOT / "docs").glob("security*.md"))
    for line in page.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]
NAMED = sorted(set(re.findall(r"`((?:sdk/\w+/)?tests/[\w/]+\.py)::([\w:]+)`", "\n".join(ROWS))))


@cache
def names_in(path: str) -> set[str]:
    """Return the test functions and classes of a file, methods as `Class::method`."""
    tree = ast.parse((ROOT / path).read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = {f"{each.name}::{node.name}" for each in classes for node in each.body if hasattr(node, "name")}
    return methods | {node.name for node in tree.body if hasattr(node, "name")}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_named_test_exists(path: str, name: str) -> None:
    assert name.startswith(("test_", "Test"))
    assert name in names_in(path)


def test_every_row_names_a_test() -> None:
    assert ROWS
    assert [row for row in ROWS if not re.search(r"`(?:sdk/\w+/)?tests/[\w/]+\.py::[\w:]+`", row)] == []
