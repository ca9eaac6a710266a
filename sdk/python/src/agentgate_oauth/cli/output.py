"""Where commands print, and how."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

out = Console()
errors = Console(stderr=True)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else plain(cell) for cell in row))
    out.print(table)


def print_facts(**facts: object) -> None:
    print_table(("", ""), ((name.replace("_", " "), value) for name, value in facts.items()))


def print_secret(label: str, secret: str) -> None:
    """Print a secret that is shown once, unstyled and unwrapped, so that it can be copied or piped."""
    errors.print(f"{label}, shown this once:")
    out.print(secret, markup=False, highlight=False, soft_wrap=True)


def plain(value: object) -> str:
    """Return text that a terminal shows as it is: names come from other people."""
    text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable.replace("[", r"\[")
