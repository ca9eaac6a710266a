"""The tables of docs/ agree with the code."""

import re

from docs.tables import stale_pages
from tests.live.server import ROOT


def test_generated_tables_are_current() -> None:
    """`./dev fix` writes them."""
    assert [path.name for path in stale_pages()] == []


def test_the_environment_variables_are_those_that_are_read() -> None:
    source = "".join(path.read_text() for path in (ROOT / "agentgate").glob("*.py"))
    read = set(re.findall(r"(?i)environment\.\w+\(\s*\"([A-Z_]+)\"", source))

    cells = re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    assert read == {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}
