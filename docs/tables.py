"""Write the generated tables of docs/ and README.md: endpoints, roles, scopes, rules, events, threats, benchmarks.

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
from datetime import timedelta
from functools import partial
from itertools import accumulate, groupby
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
# The subjects of docs/event-types.md. Those of docs/event-types-organization.md would make that page too large.
ABOUT_AGENTS = frozenset({"consent", "approval", "token", "reservation", "agent", "policy", "user"})
# Members of an event's data that the examples leave out: those that the event has, too, and those without a value.
REPEATED = frozenset({"id", "timestamp", "event"})
ABSENT: tuple[Any, ...] = (None, [], {})
SHORT_LIST = re.compile(r"\[\s+([^\[\]{}]{1,80}?)\s+\]")
UNITS = {"hours": 3600, "minutes": 60, "seconds": 1}
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


def event() -> Iterator[str]:
    """Yield a whole event."""
    from events.examples import examples

    yield _json(examples()["consent.revoked"])


def retries() -> Iterator[str]:
    """Yield when the tries of an event are made."""
    from events.schedule import DELAYS

    yield "| try | after the one before | after the first |\n|---|---|---|\n| 1 | at once | |\n"
    for number, (delay, total) in enumerate(zip(DELAYS, accumulate(DELAYS), strict=True), 2):
        yield _row(str(number), _duration(delay), _duration(total))
    yield "\n"


def timeouts() -> Iterator[str]:
    """Yield how long processes wait for what."""
    from core.timeouts import TABLE

    yield "| wait for | seconds | processes |\n|---|---|---|\n"
    yield from (_row(what, f"{seconds:g}", where) for what, seconds, where in TABLE)
    yield "\n"


def _duration(length: timedelta) -> str:
    """Return a duration in its largest unit, rounded: "2.6 hours"."""
    seconds = length.total_seconds()
    name, size = next((name, size) for name, size in UNITS.items() if seconds >= size)
    return f"{round(seconds / size, 1):g} {name}"


def event_types(*, about_agents: bool) -> Iterator[str]:
    """Yield each event type with its sentence and what its example has: those about agents, or all others."""
    from events.examples import examples
    from web.portal.webhooks.catalogue import subjects

    for subject in subjects():
        if (subject.name in ABOUT_AGENTS) != about_agents:
            continue
        yield f"## {subject.title}\n\n"
        for one in subject.types:
            yield f"### {one.name}\n\n{one.words}{_who_gets(one)}\n\n"
            data = examples()[one.name]["data"]
            yield _json({name: value for name, value in data.items() if name not in REPEATED and value not in ABSENT})


def _who_gets(one: Any) -> str:
    """Return who gets events of a type that patterns leave out."""
    if one.is_only_named:
        return " Patterns leave it out, so name it."
    return " Only the webhook that is tested gets it." if one.is_test else ""


def shippers() -> Iterator[str]:
    """Yield the commands of the developer portal that bring the feed into a file and elsewhere."""
    from web.portal.feed.commands import SHIPPERS

    for one in SHIPPERS:
        yield f"**{one.title}.** {one.words}\n\n```sh\n{one.text}\n```\n\n"


def _json(value: Any) -> str:
    """Return a block of JSON. Lists of texts are on one line."""
    text = SHORT_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", json.dumps(value, indent=2))
    return f"```json\n{text}\n```\n\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |\n"


TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "endpoints": endpoints,
    "scopes": scopes,
    "roles": roles,
    "rules": rules,
    "event": event,
    "retries": retries,
    "timeouts": timeouts,
    "event_types": partial(event_types, about_agents=True),
    "event_types_organization": partial(event_types, about_agents=False),
    "shippers": shippers,
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
