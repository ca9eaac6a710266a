"""Write the generated tables of docs/ and README.md: endpoints, roles, scopes, rules, threats, decisions, benchmarks.

`./dev fix` runs this; `./dev check` runs it with `--check`, which changes nothing and names what is out of date.
A table is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import django

from benchmarks.pages.report import BLOCKS as PAGES_BLOCKS
from benchmarks.report import BLOCKS

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.S)
with (ROOT / "tests" / "threats.csv").open(newline="") as file:
    THREATS = list(csv.DictReader(file))
SUBJECT = re.compile(r"\*Subject: (.+)\*")


def endpoints() -> Iterator[str]:
    """Yield a table of endpoints for each part of the JSON API, from docs/openapi.json."""
    from web.public.docs.reference import credentials, operations

    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for method, path, each in sorted(operations().values(), key=lambda found: found[1]):
        key = (each["tags"][0], path.removeprefix("/api/v1"), credentials(each), each["summary"])
        rows.setdefault(key, []).append(method)
    for tag, group in groupby(rows, key=lambda key: key[0]):
        yield f"### {tag}\n\n| request | credential | |\n|---|---|---|\n"
        yield from (_row(f"`{', '.join(rows[key])} {key[1]}`", *key[2:]) for key in group)
        yield "\n"


def scopes() -> Iterator[str]:
    """Yield a table of the catalogue's scopes for each category."""
    from resources.catalogue import catalogue

    found = catalogue().values()
    yield f"The catalogue has {len(found)} scopes in {len({scope.category for scope in found})} categories.\n\n"
    for category, group in groupby(found, key=lambda scope: scope.category):
        yield f"### {category}\n\n"
        yield "| scope | risk | title | the agent can | the agent cannot | labels | can be undone |\n"
        yield "|---|---|---|---|---|---|---|\n"
        for it in group:
            risk = f"{it.risk_level}, always asks" if it.always_asks else it.risk_level
            labels, undone = ", ".join(sorted(it.labels)), "yes" if it.is_reversible else "no"
            yield _row(f"`{it.id}`", risk, it.title, it.description, it.cannot, labels, undone)
        yield "\n"
    yield '### Actions\n\n| scope | covers, besides itself | its "cannot" names |\n|---|---|---|\n'
    yield from (_row(f"`{it.id}`", _codes(it.covers), _codes(it.excludes)) for it in found)
    yield "\n"


def _codes(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def roles() -> Iterator[str]:
    """Yield a table of what each role of an organization's members may do."""
    from developers.role_words import ALLOWED

    yield "| role | may |\n|---|---|\n"
    yield from (_row(role, ". ".join(map(str, words)) + ".") for role, words in ALLOWED.items())
    yield "\n"


def rules() -> Iterator[str]:
    """Yield the description of each rule type and a table of its fields."""
    from policies.rules import RULES
    from web.portal.policies.rule_forms import resolve

    for name, rule in sorted(RULES.items()):
        schema = rule.model_json_schema()
        yield f"### {name}\n\n{schema['description']}\n\n| field | value | |\n|---|---|---|\n"
        for field, part in schema["properties"].items():
            part = resolve(part, schema)
            yield _row(f"`{field}`", _value(part), part.get("description") or f"{part['title']}.")
        yield "\n"


def _value(part: dict[str, Any]) -> str:
    """Return the values that a field accepts: "integer, 1 to 100, default 10"."""
    if "enum" in part:
        words = part.get("x-enumDescriptions", {})
        kind = ", ".join(f"`{value}` ({words[value]})" if value in words else f"`{value}`" for value in part["enum"])
    elif part["type"] == "array":
        kind = f"list of {part['items'].get('type', 'object')}s"
    else:
        kind = part["type"]
    limits = f"{part['minimum']} to {part['maximum']}" if {"minimum", "maximum"} <= part.keys() else ""
    default = f"default `{json.dumps(part['default'])}`" if part.get("default") is not None else ""
    return ", ".join(filter(None, [kind, limits, default]))


def threats(section: str) -> Iterator[str]:
    """Yield a table of the threats of a section of tests/threats.csv, with the tests that try them."""
    yield "| threat | defense | tests |\n|---|---|---|\n"
    for row in THREATS:
        if row["section"] == section:
            yield _row(row["threat"], row["defense"], "; ".join(_by_file(row["tests"].split())))
    yield "\n"


def _by_file(tests: Iterable[str]) -> Iterator[str]:
    parts = (name.partition("::") for name in tests)
    for path, found in groupby(parts, key=lambda each: each[0]):
        names = " ".join(f"`{name}`" for _, _, name in found if name)
        yield f"`{path}` {names}".strip()


def decisions() -> Iterator[str]:
    """Yield a link to each page of docs/adr/ by its title, under its subject: the second paragraph of the page."""
    pages: dict[str, list[str]] = {}
    for path in sorted((FOLDER / "adr").glob("0*.md")):
        title, subject, *_ = path.read_text().split("\n\n")
        number, _, name = title.removeprefix("# ").partition(" ")
        found = SUBJECT.fullmatch(subject)
        pages.setdefault(found[1] if found else "The house", []).append(f"- {number} [{name}]({path.name})\n")
    for subject, links in sorted(pages.items()):
        yield from (f"## {subject}\n\n", *links, "\n")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |\n"


TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "endpoints": endpoints,
    "scopes": scopes,
    "roles": roles,
    "rules": rules,
    "decisions": decisions,
    **{f"threats_{section}": partial(threats, section) for section in {row["section"] for row in THREATS}},
    **BLOCKS,
    **PAGES_BLOCKS,
}


def fresh(page: str) -> str:
    """Return the page with its tables generated again."""
    return BLOCK.sub(lambda match: match[1] + "\n" + "".join(TABLES[match[2]]()) + match[3], page)


def stale_pages() -> dict[Path, str]:
    """Return the pages whose tables are out of date, with their new content."""
    pages = {path: path.read_text() for path in (ROOT / "README.md", *sorted(FOLDER.rglob("*.md")))}
    return {path: fresh(page) for path, page in pages.items() if fresh(page) != page}


def main() -> str | int:
    """Write the tables, or with `--check` return what is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    is_check = parser.parse_args().check
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")
    django.setup()
    stale = stale_pages()
    if is_check:
        return "\n".join(f"{path.relative_to(ROOT)} is out of date: run ./dev fix" for path in stale) or 0
    for path, page in stale.items():
        path.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
