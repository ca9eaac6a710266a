"""Every relative link of the documentation resolves to a file, and its anchor to a heading."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.live.server import ROOT
from tests.shared import cases

PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "sdk/python/README.md", "sdk/audit/README.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]
CODE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


def links(page: Path) -> Iterator[str]:
    for found in LINK.findall(CODE.sub("", page.read_text())):
        target = "".join(found)
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page, if no two headings are equal."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cases("page", PAGES)
def test_every_relative_link_resolves(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    indexes = (ROOT / "docs/README.md", ROOT / "docs/adr/README.md")
    listed = {(index.parent / link).resolve() for index in indexes for link in links(index)}

    assert set((ROOT / "docs").rglob("*.md")) - listed == {ROOT / "docs/README.md"}
