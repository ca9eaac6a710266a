"""The pages at /docs, in the order and the groups of docs/README.md and docs/adr/README.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from markdown_it.token import Token

from web.public.docs.markdown import Document, parse, render, words_of

ROOT = Path(settings.BASE_DIR)
INDEX = ROOT / "docs" / "README.md"
DECISIONS = ROOT / "docs" / "adr" / "README.md"
REFERENCE = ROOT / "docs" / "openapi.json"
# The names of pages whose file is not in docs/.
NAMES = {
    ROOT / "README.md": "start",
    ROOT / "SECURITY.md": "security-policy",
    ROOT / "CONTRIBUTING.md": "contributing",
    ROOT / "sdk" / "python" / "README.md": "python-sdk",
    ROOT / "sdk" / "audit" / "README.md": "audit-verifier",
    DECISIONS: "adr",
    REFERENCE: "api-reference",
}
MAX_PAGES = 200


@dataclass(frozen=True, slots=True)
class Page:
    """A page with the label, the group and the summary that its index gives it. `summary` may be empty."""

    name: str
    label: str
    summary: str
    group: str
    path: Path

    @property
    def url(self) -> str:
        """Return the path of the page on this server."""
        if self.path == REFERENCE:
            return reverse("web:api-reference")
        if self.path.parent == DECISIONS.parent and self.path != DECISIONS:
            return reverse("web:decision", args=[self.name.removeprefix("adr/")])
        return reverse("web:docs-page", args=[self.name])

    def document(self) -> Document:
        """Return the rendered page. In debug mode, a changed file is rendered again."""
        return _document(self.path, version_of(self.path))


@dataclass(frozen=True, slots=True)
class Library:
    """All pages: by name, and those of docs/README.md by group."""

    pages: Mapping[str, Page]
    groups: Mapping[str, Sequence[Page]]

    def neighbours(self, page: Page) -> tuple[Page | None, Page | None]:
        """Return the pages before and after `page`."""
        order = [each for each in self.pages.values() if each.path != REFERENCE]
        place = order.index(page)
        return order[place - 1] if place else None, order[place + 1] if place + 1 < len(order) else None

    def url_of(self, path: Path, anchor: str) -> str | None:
        """Return the URL of a file of the repository, or None if it is not published."""
        if path == INDEX:
            return reverse("web:docs")
        page = next((page for page in self.pages.values() if page.path == path), None)
        return f"{page.url}{'#' if anchor else ''}{anchor}" if page else None


def version_of(path: Path) -> int:
    """Return a number that changes with the file, in debug mode only."""
    return path.stat().st_mtime_ns if settings.DEBUG else 0


def library() -> Library:
    """Return all pages. The indexes are read once per process, and in debug mode after each change."""
    return _library((version_of(INDEX), version_of(DECISIONS)))


@lru_cache(maxsize=1)
def _library(version: tuple[int, int]) -> Library:
    listed = list(_entries(INDEX))
    decisions = list(_entries(DECISIONS, group=parse(DECISIONS.read_text())[1].content))
    groups = {
        group: [page for page in listed if page.group == group] for group in dict.fromkeys(p.group for p in listed)
    }
    return Library({page.name: page for page in (*listed, *decisions)}, groups)


@lru_cache(maxsize=MAX_PAGES)
def _document(path: Path, version: int) -> Document:
    def resolve(target: str) -> str | None:
        file, _, anchor = target.partition("#")
        return library().url_of((path.parent / file).resolve(), anchor)

    return render(path.read_text(), resolve)


def _entries(index: Path, group: str = "") -> Iterator[Page]:
    """Yield the pages that the lists of an index name. A heading of level 2 starts a group."""
    inside, before = False, None
    for number, token in enumerate(tokens := parse(index.read_text())):
        if token.type == "heading_open" and token.tag == "h2":
            group = words_of(tokens[number + 1])
        inside = (inside or token.type == "list_item_open") and token.type != "list_item_close"
        if inside and token.type == "inline":
            place = f"{before.info}. " if before is not None and before.info else ""
            yield from _linked(index, group, place, token)
        before = token if token.type == "list_item_open" else before


def _linked(index: Path, group: str, place: str, token: Token) -> Iterator[Page]:
    children = token.children or []
    links = [number for number, child in enumerate(children) if child.type == "link_open"]
    _, _, summary = words_of(token).partition(": ")
    for number in links:
        path = (index.parent / str(children[number].attrs["href"])).resolve()
        label = children[number + 1].content
        yield Page(_name(path), f"{place}{label}", summary if len(links) == 1 else "", group, path)


def _name(path: Path) -> str:
    if path in NAMES:
        return NAMES[path]
    return f"adr/{path.name[:4]}" if path.parent == DECISIONS.parent else path.stem
