"""Render a Markdown file to safe HTML, with its table of contents and its sections for the search."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

# Returns the URL of a relative link, or None if its target is not published.
type Resolve = Callable[[str], str | None]

DEEPEST_ANCHOR = 4
# In English, like the text around it.
CODE = """<div class="docs__code"><pre class="code" id="{id}" tabindex="0" role="group" aria-label="Code example"><code>
{code}</code></pre><button class="button button--small docs__copy" type="button" data-copy="{id}"
data-done="Copied">Copy<span class="visually-hidden"> the code</span></button></div>
""".replace("<code>\n", "<code>")
# The size of each picture of a page, which the browser reserves (`tests/web/browser/take_pictures.py`).
PICTURE = (348, 680)
# One of them is shown, and only that one is loaded.
THEMES = {"light": "", "dark": "-dark"}
IMAGE = '<img class="picture picture--{}" src="{}" alt="{}" width="{}" height="{}" loading="lazy">'
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text up to the next one. `anchor` is empty for the top of the page."""

    anchor: str
    title: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    html: SafeString
    sections: Sequence[Section]

    @property
    def contents(self) -> list[Section]:
        """Return the sections for the table of contents."""
        return [section for section in self.sections if section.anchor and section.level <= DEEPEST_ANCHOR - 1]


def parse(source: str) -> list[Token]:
    """Return the tokens of a Markdown text."""
    return _parser().parse(source)


def render(source: str, resolve: Resolve) -> Document:
    """Render a page. HTML in it is left out, and so are pictures for which `resolve` returns None.

    A link for which it returns None becomes plain text.
    """
    tokens = parse(source)
    for token in tokens:
        token.children = list(_resolved(token.children or (), resolve)) if token.type == "inline" else token.children
    _label(tokens)
    if tokens and tokens[0].tag == "h1":
        tokens[0].attrSet("translate", "no")
    sections = tuple(_sections(tokens))
    return Document(sections[0].title, SafeString(_parser().renderer.render(tokens, _parser().options, {})), sections)


def words_of(token: Token) -> str:
    """Return the text of an inline token without markup."""
    return "".join(" " if child.type == "softbreak" else child.content for child in token.children or ())


@cache
def _parser() -> MarkdownIt:
    # HTML is parsed and then left out. If it were not parsed, comments and tags would show as text.
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    anchors_plugin(parser, min_level=2, max_level=DEEPEST_ANCHOR, slug_func=_slug)
    for kind, rule in RULES.items():
        parser.add_render_rule(kind, rule)
    return parser


def _slug(title: str) -> str:
    """Return the anchor that GitHub gives the heading, because links in the files use it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _resolved(children: Iterable[Token], resolve: Resolve) -> Iterator[Token]:
    is_dropped = False
    for child in children:
        if child.type == "image":
            path = PurePosixPath(str(child.attrs["src"]))
            child.attrs = {theme: resolve(str(path.with_stem(path.stem + end))) or "" for theme, end in THEMES.items()}
        if child.type == "link_open":
            target = str(child.attrs["href"])
            url = target if target.startswith("#") or SCHEME.match(target) else resolve(target)
            is_dropped = url is None
            child.attrs["href"] = url or ""
        if not (is_dropped and child.type in ("link_open", "link_close")):
            yield child


def _label(tokens: Sequence[Token]) -> None:
    """Give the cells of a table the heading of their column, for narrow screens.

    The first column needs none, nor does the only other one.
    """
    labels: list[str] = []
    column = 0
    for token, content in pairwise(tokens):
        if token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            labels = [*(labels if column else []), words_of(content)]
            column += 1
        elif token.type == "td_open":
            token.meta["label"] = labels[column] if column and len(labels) > 2 else ""
            column += 1


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    anchor, title, level, text = "", "", 1, list[str]()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before and before.type == "heading_open" and int(before.tag[1]) <= DEEPEST_ANCHOR:
            if title:
                yield Section(anchor, title, level, " ".join(text))
            anchor, title, level, text = str(before.attrs.get("id", "")), words_of(token), int(before.tag[1]), []
        elif token.type in ("inline", "fence", "code_block"):
            text.append(words_of(token) if token.type == "inline" else " ".join(token.content.split()))
    yield Section(anchor, title, level, " ".join(text))


def _nothing(*args: Any) -> str:
    return ""


def _picture(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    urls, alt = tokens[index].attrs.items(), tokens[index].content
    shown = ((theme, url, alt, *PICTURE) for theme, url in urls if url)
    return format_html_join("", IMAGE, shown)


def _code(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    # Quotes need no escape between tags, and JSON has thousands.
    code = SafeString(html.escape(tokens[index].content, quote=False))
    return format_html(CODE, id=f"code-{index}", code=code)


def _table(*args: Any) -> str:
    return '<div class="table-wrap" tabindex="0" role="group" aria-label="Table"><table class="table">\n'


def _table_end(*args: Any) -> str:
    return "</table></div>\n"


def _heading(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    # An empty heading would be announced for each cell.
    return '<th scope="col">' if tokens[index + 1].content else "<td>"


def _heading_end(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</th>" if tokens[index - 1].content else "</td>"


def _cell(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    # Without the style attribute of an aligned column, which the Content Security Policy refuses.
    label = tokens[index].meta.get("label")
    return format_html('<td data-label="{}">', label) if label else "<td>"


RULES: dict[str, Callable[..., Any]] = {
    "html_block": _nothing,
    "html_inline": _nothing,
    "image": _picture,
    "fence": _code,
    "code_block": _code,
    "table_open": _table,
    "table_close": _table_end,
    "th_open": _heading,
    "th_close": _heading_end,
    "td_open": _cell,
}
