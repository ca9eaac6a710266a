"""Find what is suspicious in the texts of an upstream, which a model reads as if they were instructions.

This finds known tricks, not intentions. A text that asks for harm in plain words passes, and so does one that
is harmless by itself and not beside another.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .lock import KINDS, Change, Definition, Definitions, Kind, digest
from .uris import problem_of

MAX_TEXT = 4000
MAX_INSPECTED = 200_000
MAX_FINDINGS = 20
MAX_TEXTS = 5_000
MAX_DEPTH = 20
# The words that tool poisoning needs: it overrides, hides, or makes the model do something besides.
_INSTRUCTIONS = {
    "tells the model to ignore something": (
        r"\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|earlier|other|all|any|instruction)",
    ),
    "tells the model to conceal something": (
        r"\b(do not|don't|never|without)\b.{0,30}\b(tell|inform|mention|show|reveal|notify|alert|ask)\w*\b",
    ),
    "orders what the model does besides": (
        r"\b(before|after|whenever|prior to|when)\b.{0,20}\b(us|call|invok)(e|ing)?\b.{0,20}\btools?\b",
        r"\b(you|the (model|assistant|agent|ai))\b.{0,10}\b(must|should always|have to|are required to)\b",
        r"\b(always|first|instead)\b,? (call|use|invoke|run|read|send|include|pass)\b",
    ),
    "imitates the frame of a prompt": (
        r"<\s*(/\s*)?(important|system|instructions?|secret|hidden|admin|assistant|user|prompt)\b[^>]{0,40}>",
        r"\[\s*(/\s*)?(inst|system|important)\b|\bsystem prompt\b|<\|im_(start|end)\|>|\bhuman:|\bassistant:",
    ),
    "names secrets": (
        r"~?/?\.(ssh|aws|env|netrc|npmrc|kube|gnupg)\b|\bid_rsa\b|/etc/passwd",
        r"\b(mcp|claude_desktop_config)\.json\b|\b(conversation|chat) history\b",
        r"\b(api[ _-]?keys?|passwords?|credentials?|private keys?|access tokens?|environment variables)\b",
    ),
}
_PATTERNS = tuple(
    (re.compile("|".join(f"(?:{one})" for one in patterns), re.IGNORECASE | re.DOTALL), problem)
    for problem, patterns in _INSTRUCTIONS.items()
)
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{120,}={0,2}|(?:\\x[0-9a-fA-F]{2}){20,}|(?:[0-9a-fA-F]{2} ?){80,}")
_TOKEN = re.compile(r"[\w./-]+")
# Looks like nothing, but has a letter's category or none that `Cf` holds.
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u2800\u3164\uffa0")
_ORDINARY = frozenset("\n\r\t")


@dataclass(frozen=True)
class Finding:
    """Something suspicious in one text. `where` is its place, such as `tools.add.description`."""

    where: str
    problem: str
    excerpt: str


def inspect(definitions: Definitions, other_names: Collection[str] = ()) -> list[Finding]:
    """Return what is suspicious in all texts of an upstream. `other_names` are tools of other upstreams."""
    found = list(inspect_instructions(definitions.instructions))
    for kind in KINDS:
        for name, definition in definitions.of(kind).items():
            found += inspect_definition(kind, name, definition, {*definitions.tools, *other_names})
    return found + _twins(definitions.tools, other_names)


def inspect_change(change: Change, tools: Collection[str]) -> list[Finding]:
    """Return what is suspicious in the new definition of a change."""
    if isinstance(change.after, Mapping):
        twins = _twins([change.name], [name for name in tools if name != change.name])
        return [*inspect_definition(change.kind, change.name, change.after, tools), *twins]
    return list(inspect_instructions(change.after))


def inspect_definition(
    kind: str, name: str, definition: Definition, tools: Collection[str]
) -> Iterator[Finding]:
    """Yield what is suspicious in one definition, at most `MAX_FINDINGS`."""
    where = f"{kind}.{shown(name)}"
    if problem := _unusable(kind, name, definition):
        yield Finding(where, problem, "")
    if not name.isascii():
        yield Finding(where, "has a name with characters that can look like others", shown(name))
    others = {one for one in tools if one != name and _is_distinctive(one)}
    texts = list(islice(_texts(definition, where, 0), MAX_TEXTS + 1))
    found = (
        Finding(place, problem, excerpt)
        for place, text in texts[:MAX_TEXTS]
        for problem, excerpt in _problems(text, others)
    )
    yield from _first(found)
    if len(texts) > MAX_TEXTS:
        yield Finding(where, f"has more than {MAX_TEXTS:,} texts. Not all were inspected", "")


def inspect_instructions(text: object) -> Iterator[Finding]:
    """Yield what is suspicious in the instructions of an upstream, which may name its tools."""
    if isinstance(text, str):
        yield from _first(Finding("instructions", *problem) for problem in _problems(text, frozenset()))


def shown(text: str) -> str:
    """Return text in which hidden characters, control characters and look-alikes are escapes."""
    return json.dumps(text)[1:-1].replace('\\"', '"')


def is_usable(kind: str, name: str, definition: Definition) -> bool:
    """Return whether a definition can be pinned and exposed."""
    return _unusable(kind, name, definition) is None


def usable(definitions: Definitions) -> Definitions:
    """Return the definitions without those that cannot be pinned."""
    for kind, name, _ in unusable(definitions):
        definitions = definitions.with_one(kind, name, None)
    return definitions


def unusable(definitions: Definitions) -> list[tuple[Kind, str, str]]:
    """Return kind, name and problem of each definition that cannot be pinned."""
    return [
        (kind, name, problem)
        for kind in KINDS
        for name, definition in definitions.of(kind).items()
        if (problem := _unusable(kind, name, definition))
    ]


def _unusable(kind: str, name: str, definition: Definition) -> str | None:
    if not 1 <= len(name) <= 200:
        return "has a name of more than 200 characters, or none. It is not exposed"
    if kind in ("resources", "templates") and (problem := problem_of(name)):
        return f"{problem}. It is not exposed"
    try:
        digest(definition)
    except ValueError as error:
        return f"cannot be pinned, because {error}. It is not exposed"
    return None


def _problems(text: str, others: Set[str]) -> Iterator[tuple[str, str]]:
    text = text[:MAX_INSPECTED]
    if hidden := [one for one in text if _is_hidden(one)]:
        yield f"contains {len(hidden)} hidden characters", _around(text, text.index(hidden[0]))
    plain = unicodedata.normalize("NFKC", "".join(one for one in text if not _is_hidden(one)))
    for pattern, problem in _PATTERNS:
        if match := pattern.search(plain):
            yield problem, _around(plain, match.start())
    if match := _BLOB.search(text):
        yield "contains encoded data", _around(text, match.start())
    if len(text) > MAX_TEXT:
        yield f"is very long, {len(text):,} characters", shown(text[:60])
    if named := sorted(others & {word.strip("./-") for word in _TOKEN.findall(plain)}):
        yield f"names other tools: {shown(', '.join(named[:5]))}", _around(plain, plain.index(named[0]))


def _is_hidden(character: str) -> bool:
    if character in _ORDINARY or character.isascii() and character.isprintable():
        return False
    if (
        character in _INVISIBLE
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
    ):
        return character != "\ufe0f"  # it only makes the character before it an emoji
    # Separators of lines and formats such as zero width and directions, controls, private use, unassigned.
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")


def _is_distinctive(name: str) -> bool:
    """Return whether a name is not also an ordinary word, such as `echo` or `search`."""
    return len(name) > 3 and bool(re.search(r"[_\-./0-9]|[a-z][A-Z]", name))


def _twins(names: Iterable[str], others: Iterable[str]) -> list[Finding]:
    """Return the names that look like another: by similar letters, or the same but for case and hyphens."""
    seen: dict[str, str] = {_skeleton(name): name for name in others}
    names = [name for name in names if _skeleton(name)]
    found = []
    for name in names:
        twin = seen.setdefault(_skeleton(name), name)
        if twin != name:
            found.append(Finding(f"tools.{shown(name)}", f"has a name that looks like {shown(twin)}", ""))
    return found


# By the letter that they look like: Cyrillic, Greek, Armenian and others.
_SIMILAR = {
    "a": "\u0430\u0251\u03b1",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u04bd",
    "g": "\u0261",
    "h": "\u04bb",
    "i": "\u0456\u03b9\u0131\u04cf1l|I",
    "j": "\u0458",
    "n": "\u0578",
    "o": "\u043e\u03bf\u05850",
    "p": "\u0440\u03c1",
    "s": "\u0455",
    "v": "\u03bd\u0475",
    "w": "\u0461",
    "x": "\u0445",
    "y": "\u0443\u04af",
}
_LOOK_ALIKES = {ord(one): letter for letter, many in _SIMILAR.items() for one in many}


def _skeleton(name: str) -> str:
    compatible = unicodedata.normalize("NFKD", name).translate(_LOOK_ALIKES)
    return re.sub(r"[\W_]|[\u0300-\u036f]", "", compatible).casefold()


def _texts(value: Any, where: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield each text of a definition, also the names in its schema, with where it is."""
    if isinstance(value, str):
        yield where, value
    elif depth > MAX_DEPTH:
        yield where, json.dumps(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            place = f"{where}.{shown(str(key))}"
            yield place, str(key)
            # Pictures are data, and clients show them.
            if key != "$schema" and not (key == "src" and str(item).startswith("data:image/")):
                yield from _texts(item, place, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{where}.{index}", depth + 1)


def _around(text: str, position: int) -> str:
    start = max(0, position - 20)
    return shown(" ".join(text[start : position + 80].split(" ")))


def _first(found: Iterator[Finding]) -> Iterator[Finding]:
    for index, finding in enumerate(found):
        if index == MAX_FINDINGS:
            yield Finding(finding.where.split(".")[0], f"has more than {MAX_FINDINGS} suspicious texts", "")
            return
        yield finding
