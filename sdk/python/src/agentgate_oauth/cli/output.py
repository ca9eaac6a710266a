"""Print text, or one JSON document with `--json`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

import typer

from .._call import camel
from .options import chosen

_COLORS = {"allowed": "green", "passed": "green", "denied": "red"}


def show(value: object, print_text: Callable[[], None]) -> None:
    """Print the value as JSON with `--json`, else call `print_text`."""
    if chosen.json:
        print_json(value)
    else:
        print_text()


def print_json(value: object) -> None:
    typer.echo(json_text(jsonable(value)))


def json_text(value: object) -> str:
    """Return readable JSON in which control characters are escaped, also those that JSON allows."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def show_list(
    items: Iterable[object], columns: Iterable[str], row: Callable[[Any], Iterable[object]]
) -> None:
    """Print a table with one row per item, or `{"items": [...]}`."""
    found = list(items)
    show({"items": found}, lambda: print_table([tuple(columns), *(tuple(row(item)) for item in found)]))


def print_table(rows: Iterable[tuple[object, ...]]) -> None:
    """Print aligned columns. Nothing is cut or wrapped, so that ids can be copied and parsed."""
    cells = [["" if cell is None else plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_facts(**facts: object) -> None:
    print_table((name.replace("_", " "), value) for name, value in facts.items())


def print_line(text: str) -> None:
    typer.echo(plain(text))


def show_secret(value: object, label: str, secret: str) -> None:
    """Print a new secret alone on standard output, so that it can be piped."""
    show(value, lambda: print_line(secret))
    warn_shown_once(label)


def warn_shown_once(label: str) -> None:
    """Say on stderr that a secret is not shown again. With `--json`, stderr is for errors only."""
    if not chosen.json:
        typer.echo(f"This {label} is not shown again. Store it now.", err=True)


def colored(outcome: str) -> str:
    color = _COLORS.get(outcome)
    if color is None or "NO_COLOR" in os.environ:
        return plain(outcome)
    return typer.style(outcome, fg=color)


def minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def plain(value: object) -> str:
    """Return text without control characters, which names may contain and terminals would obey."""
    text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)


def jsonable(value: object) -> Any:
    """Return a value for `json`: models with the API's names, times in UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(f.name): jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value
