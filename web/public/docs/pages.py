"""The pages at /docs: the Markdown files of the repository."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from markdown_it.token import Token

from web.display.art import art
from web.public.docs.markdown import Document, parse, render, words_of

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs"
DECISIONS = DOCS / "adr" / "README.md"
REFERENCE = DOCS / "openapi.json"
# The index has no name. The other entries are files outside docs/.
NAMED = {
    "": DOCS / "README.md",
    "start": ROOT / "README.md",
    "security-policy": ROOT / "SECURITY.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "python-sdk": ROOT / "sdk" / "python" / "README.md",
    "audit-verifier": ROOT / "sdk" / "audit" / "README.md",
    "adr": DECISIONS,
}

# The pictures of the cards on the index.
CARDS = {
    "what-it-is": "first",
    "reading-the-screen": "screen",
    "approving": "closed",
    "changing-or-stopping": "lost",
    "looking-back": "ledger",
    "your-account": "safe",
}

type Links = list[tuple[str, str | None]]


@cache
def files() -> Mapping[str, Path]:
    """Return the files of all pages by the name in their URL: "policies", "people/approving", "adr/0012"."""
    guides = {path.stem: path for path in sorted(DOCS.glob("*.md")) if path != NAMED[""]}
    people = {f"people/{path.stem}": path for path in sorted((DOCS / "people").glob("*.md"))}
    decisions = {f"adr/{path.name[:4]}": path for path in sorted(DECISIONS.parent.glob("0*.md"))}
    return {**NAMED, **people, **guides, **decisions}


def page(name: str) -> Document | None:
    """Return the page with this name, or None."""
    path = files().get(name)
    return (_rendered(path) if name else _index()) if path else None


def url_of(name: str) -> str:
    """Return the path of a page on this server."""
    return reverse("web:docs-page", args=[name]) if name else reverse("web:docs")


@cache
def menu() -> Mapping[str, Links]:
    """Return the links of the index with their labels, grouped by the heading above them."""
    groups: dict[str, Links] = {}
    for before, token in pairwise(parse(NAMED[""].read_text())):
        if before.type == "heading_open" and before.tag == "h2":
            groups[words_of(token)] = links = []
        elif groups:
            links += _links(token.children or [])
    return groups


def _links(children: list[Token]) -> Links:
    """Return the label and the URL of each link of the index."""
    return [
        (label.content, _link(DOCS, str(opening.attrs["href"])))
        for opening, label in pairwise(children)
        if opening.type == "link_open"
    ]


@cache
def _index() -> Document:
    """Return the index, with a picture on each of the cards for people."""
    document = _rendered(NAMED[""])
    html = str(document.html)
    for name, picture in CARDS.items():
        link = format_html('<a href="{}">', url_of(f"people/{name}"))
        html = html.replace(link, art(picture) + link, 1)
    return replace(document, html=SafeString(html))


@cache
def _rendered(path: Path) -> Document:
    return render(path.read_text(), lambda target: _link(path.parent, target))


def _link(folder: Path, target: str) -> str | None:
    """Return the URL of a file that a file in the folder links to or shows, or None if it is not published."""
    file, separator, anchor = target.partition("#")
    path = (folder / file).resolve()
    if path in _pictures():
        return static(f"docs/{path.name}")
    url = _urls().get(path)
    return f"{url}{separator}{anchor}" if url else None


@cache
def _pictures() -> Collection[Path]:
    return frozenset(settings.DOCS_PICTURES.glob("*.webp"))


@cache
def _urls() -> Mapping[Path, str]:
    return {REFERENCE: reverse("web:api-reference"), **{path: url_of(name) for name, path in files().items()}}
