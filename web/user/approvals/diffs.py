"""Texts and diffs by others, as pages show them: with line breaks and tabs, but no other invisible characters."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from core.text import escape_invisible

ADDED, REMOVED, SAME = "added", "removed", "same"
SIGNS = {"+": ADDED, "-": REMOVED}
HEADERS = ("+++", "---")


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a diff that were all added, removed or left unchanged. Each line keeps its sign."""

    kind: str
    text: str


def read_diff(text: str) -> list[Block]:
    """Return the lines of a diff in blocks. An empty list if no line is marked as added or removed."""
    lines = visible_text(text).split("\n")
    blocks = list(_blocks(lines))
    return blocks if any(block.kind != SAME for block in blocks) else []


def visible_text(text: str) -> str:
    """Return the text with its line breaks and tabs. Other invisible characters become JSON escapes."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(escape_invisible(part) for part in line.split("\t")) for line in lines)


def _blocks(lines: list[str]) -> Iterator[Block]:
    for kind, group in groupby(lines, key=_kind):
        yield Block(kind, "\n".join(group))


def _kind(line: str) -> str:
    return SAME if line.startswith(HEADERS) else SIGNS.get(line[:1], SAME)
