"""Finds the sentences that promise something: on pages, in mails and in guides."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.clean_environment import ROOT

WORDS = re.compile(r"\b(cannot|always|never|only|each time|every time|until)\b", re.IGNORECASE)
# Texts of pages and mails: in templates, and in calls of gettext.
TRANSLATED = re.compile(
    r'{%\s*translate\s+["\'](.*?)["\']\s*(?:as \w+\s*)?%}|{%\s*blocktranslate[^%]*%}(.*?){%\s*endblocktranslate\s*%}',
    re.DOTALL,
)
GETTEXT = {
    "_",
    "lazy",
    "gettext",
    "gettext_lazy",
    "gettext_noop",
    "ngettext",
    "ngettext_lazy",
    "pgettext",
    "pgettext_lazy",
}
# Their arguments are texts of pages for developers, which are not translated.
TEXTS = {*GETTEXT, "Explanation"}
APPS = [
    "web",
    "approvals",
    "consent",
    "accounts",
    "developers",
    "agents",
    "resources",
    "policies",
    "oauth",
    "api",
    "decisions",
    "events",
    "tokens",
    "limits",
    "core",
    "audit",
    "administration",
    "server",
    "agentgate",
]
GUIDES = [
    "README.md",
    *(f"docs/people/{path.name}" for path in sorted((ROOT / "docs" / "people").glob("*.md"))),
    "docs/users.md",
    "docs/protect-django.md",
    "docs/protect-fastapi.md",
    "docs/protect-fastmcp.md",
    "docs/gateway.md",
    "docs/forward-auth.md",
    "docs/scopes.md",
    "docs/policies.md",
    "docs/teams.md",
    "docs/events.md",
    "docs/delegation.md",
    "sdk/python/README.md",
    "sdk/audit/README.md",
]
CODE = re.compile(r"```.*?```", re.DOTALL)
GENERATED = re.compile(r"<!-- generated.*?<!-- end[^>]*-->", re.DOTALL)
SENTENCE_END = re.compile(r"(?<=[.!?])[*_\")]*\s+|\s*\|\s*|\n\s*\n|\n\s*[-*]\s|^#+ .*$", re.MULTILINE)


def on_pages() -> set[str]:
    """Return the sentences of pages and mails."""
    return {*_in_templates(), *_in_code()}


def in_guides() -> set[str]:
    texts = ((ROOT / name).read_text() for name in GUIDES)
    return {each for text in texts for each in _sentences(GENERATED.sub("", CODE.sub("", text)))}


def _in_templates() -> Iterator[str]:
    for path in _files("templates", ".html", ".txt"):
        for match in TRANSLATED.finditer(path.read_text()):
            yield from _sentences(match[1] or match[2])


def _in_code() -> Iterator[str]:
    for path in (path for app in APPS for path in _files(app, ".py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name_of(node.func) in TEXTS:
                texts = (each.value for each in node.args if isinstance(each, ast.Constant))
                for text in texts:
                    yield from _sentences(text if isinstance(text, str) else "")


def _files(folder: str, *suffixes: str) -> Iterator[Path]:
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in suffixes and "migrations" not in path.parts:
            yield path


def _name_of(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences that promise something, each on one line."""
    for part in SENTENCE_END.split(re.sub(r"{%\s*plural\s*%}", ". ", text)):
        sentence = " ".join(part.split()).removeprefix("- ")
        if WORDS.search(sentence):
            yield sentence
