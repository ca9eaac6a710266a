"""Which arguments of a tool are a recipient, an amount, a target or a text, by their names and types."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .config import Amount, ArgumentName, Context, Mapped
from .effects import words_of
from .question import takes_others

MAX_DEPTH = 3
MAX_ARGUMENTS = 200
MAX_ARMS = 20
# Of one schema: its alternatives, theirs, and so on.
MAX_PARTS = 60
MAX_MAPPED = 10


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In order: what stands first says the most.
_RECIPIENTS = _words(
    "to recipient recipients cc bcc email emails address payee beneficiary iban phone channel "
    "channels chat room invitee attendees member assignee"
)
_AMOUNTS = _words("amount price total cost sum cents")
_PATHS = _words("path paths file files filename filenames filepath directory directories dir folder folders")
_PATH_PAIRS = _words("source destination src dst dest")
_FROM_TO = {"from", "to"}
_ADDRESSES = _words("url urls uri uris link links endpoint webhook host domain")
_TARGETS = _words("repo repository project database table collection bucket issue page document item")
_TEXTS = _words(
    "sql query command cmd code script expression content contents body message text subject title "
    "comment description note prompt html markdown caption summary"
)
# Arguments with these names hold programs: what the tool does is decided by the caller.
_PROGRAMS = _words("sql command cmd code script expression javascript python bash shell statement")
_TEXTUAL, _NUMERIC = frozenset({"string"}), frozenset({"number", "integer", "string"})


@dataclass(frozen=True)
class Argument:
    """An argument; with dots, one of a nested object. `types` are JSON Schema's, for a list its items'."""

    name: str
    types: frozenset[str]
    description: str

    @property
    def words(self) -> tuple[str, ...]:
        return words_of(self.name.rsplit(".", 1)[-1])

    @property
    def is_listed(self) -> bool:
        """Return whether it is in an object within a list, so that a mapping cannot name it."""
        return "[]" in self.name

    @property
    def key(self) -> str:
        """Return the last word of its name, which usually says what it is: `file_path`, `recipientEmail`."""
        return self.words[-1] if self.words else ""

    def is_any(self, names: Collection[str], types: frozenset[str] = _TEXTUAL) -> bool:
        """Return whether the name is, or ends in, one of these, and the type could be one of these."""
        return (self.key in names or "".join(self.words) in names) and (
            not self.types or bool(self.types & types)
        )


@dataclass(frozen=True)
class Proposed:
    """The proposed context, and what was unsure about it."""

    context: Context
    doubts: tuple[str, ...]


def arguments_of(schema: Any) -> list[Argument]:
    """Return the arguments of an input schema, with those of nested objects, in order."""
    definitions = schema.get("$defs") or schema.get("definitions") if isinstance(schema, Mapping) else None
    found = _walk(schema, "", 1, definitions if isinstance(definitions, Mapping) else {})
    return [argument for argument, _ in zip(found, range(MAX_ARGUMENTS), strict=False)]


def declared_value(schema: Any, name: str, otherwise: Any) -> Any:
    """Return the value that a schema gives for an argument, an example before a default, else `otherwise`.

    `name` is a path with dots. A value of null says nothing.
    """
    definitions = schema.get("$defs") or schema.get("definitions") if isinstance(schema, Mapping) else None
    known = definitions if isinstance(definitions, Mapping) else {}
    for key in name.split("."):
        schema = next(
            (
                part["properties"][key]
                for part, is_item in islice(_parts(schema, known, 3), MAX_PARTS)
                if not is_item and isinstance(part.get("properties"), Mapping) and key in part["properties"]
            ),
            None,
        )
    for part, is_item in islice(_parts(schema, known, 3), MAX_PARTS):
        lists = [one[0] for one in (part.get("examples"), part.get("enum")) if isinstance(one, list) and one]
        given = [*lists[:1], part.get("default"), part.get("const")]
        value = next((one for one in given if one is not None), None)
        if value is not None:
            return [value] if is_item else value
    return otherwise


def names_with_dots(schema: Any) -> list[str]:
    """Return the names that contain a dot. A mapping cannot name them, because a dot separates levels."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return [name for name in properties if "." in name] if isinstance(properties, Mapping) else []


def unbounded(schema: Any, arguments: Sequence[Argument], in_folder: bool) -> list[str]:
    """Return what the digest of the arguments covers, and no mapping can bound."""
    listed = [one.name for one in paths_among(arguments, in_folder) if one.is_listed]
    said = [
        f"{name} is a path within a list, so it cannot be mapped, and nothing bounds it" for name in listed
    ]
    if in_folder and isinstance(schema, Mapping) and takes_others(schema):
        said.append("it may take arguments that its schema does not name, and nothing bounds paths in these")
    return said


def is_program(argument: Argument) -> bool:
    return argument.is_any(_PROGRAMS) or (argument.key == "query" and "sql" in argument.description.lower())


def is_address(argument: Argument) -> bool:
    return argument.is_any(_ADDRESSES)


def paths_among(arguments: Sequence[Argument], in_folder: bool) -> list[Argument]:
    """Return those that are paths of files. With `in_folder`, the upstream serves a folder."""
    keys = {one.key for one in arguments}
    names = (
        *_PATHS,
        *(_PATH_PAIRS if in_folder else ()),
        *(_FROM_TO if in_folder and keys >= _FROM_TO else ()),
    )
    return [one for one in arguments if one.is_any(names)]


def looks_like_recipient(argument: Argument) -> bool:
    return argument.is_any(_RECIPIENTS) or argument.words[:1] in [("recipient",), ("channel",), ("chat",)]


def looks_like_amount(argument: Argument) -> bool:
    return argument.is_any(_AMOUNTS, _NUMERIC) or argument.words[:1] == ("amount",)


def propose_context(schema: Any, *, changes: bool, in_folder: bool, root: str | None) -> Proposed:
    """Return which arguments become context. `changes`: the tool does more than read."""
    doubts: list[str] = []
    every = [one for one in arguments_of(schema) if len(one.name) <= 200]
    doubts += unbounded(schema, every, in_folder)
    arguments = [one for one in every if not one.is_listed]
    paths = paths_among(arguments, in_folder)
    amount = _amount(arguments, doubts) if changes else None
    recipients = [one for one in arguments if one not in paths and looks_like_recipient(one)]
    texts = _in_order([one for one in arguments if one.is_any(_TEXTS)], _TEXTS)
    if paths and root is None:
        doubts.append(
            "it takes paths, and no folder is known: absolute ones are refused until it has a `root`"
        )
    doubts += [
        f"the argument {name!r} has a dot in its name, so it cannot be mapped"
        for name in names_with_dots(schema)
    ]
    context = Context(
        recipient=_mapped(recipients, doubts) if changes else None,
        target=_mapped(paths, doubts, is_path=True) if paths else _mapped(_targets(arguments), doubts),
        text=_mapped(texts, doubts),
        amount=amount,
    )
    return Proposed(context, tuple(doubts))


def _targets(arguments: list[Argument]) -> list[Argument]:
    """Return what the call is about: addresses, else named things, else ids."""
    addresses = [one for one in arguments if is_address(one)]
    named = [one for one in arguments if one.is_any(_TARGETS)]
    ids = [one for one in arguments if one.key in ("id", "ids") and not looks_like_recipient(one)]
    return addresses or named + ids


def _amount(arguments: list[Argument], doubts: list[str]) -> Amount | None:
    found = next((one for one in arguments if looks_like_amount(one)), None)
    if found is None:
        return None
    currency = next((one for one in arguments if one.words and "currency" in one.words), None)
    if currency is None:
        doubts.append(
            f"{found.name} looks like an amount without a currency: add `amount: {{argument: {found.name}, "
            "currency: EUR}` to its context, so that limits of money count it"
        )
        return None
    in_cents = re.search(r"\bcents?\b|minor unit|smallest (currency )?unit", found.description.lower())
    if "cents" in found.words or in_cents:
        doubts.append(
            f"{found.name} seems to count cents: `minor_units: 2` is right for currencies with cents only"
        )
        return Amount(argument=found.name, currency=ArgumentName(argument=currency.name), minor_units=2)
    doubts.append(
        f"{found.name} is read as whole units, such as 12.50: if it counts cents, add `minor_units: 2`"
    )
    return Amount(argument=found.name, currency=ArgumentName(argument=currency.name))


def _mapped(found: list[Argument], doubts: list[str], *, is_path: bool = False) -> Mapped | None:
    names = [one.name for one in found]
    if len(names) > MAX_MAPPED:
        doubts.append(f"only {MAX_MAPPED} of its {len(names)} arguments of a kind are mapped")
    kept = names[:MAX_MAPPED]
    return Mapped.model_validate({"arguments": kept, "as": "path" if is_path else "text"}) if kept else None


def _in_order(found: list[Argument], names: Sequence[str]) -> list[Argument]:
    return sorted(found, key=lambda one: names.index(one.key) if one.key in names else len(names))


def _walk(schema: Any, prefix: str, depth: int, definitions: Mapping[str, Any]) -> Iterator[Argument]:
    """Yield the arguments of a schema. What is within a list has [] in its name."""
    if depth > MAX_DEPTH:
        return
    for part, is_item in islice(_parts(schema, definitions, 3), MAX_PARTS):
        properties = part.get("properties")
        inner = f"{prefix.removesuffix('.')}[]." if is_item else prefix
        for name, given in properties.items() if isinstance(properties, Mapping) else ():
            if "." in name:
                continue
            parts = [one for one, _ in islice(_parts(given, definitions, 3), MAX_PARTS)]
            types = frozenset(kind for one in parts for kind in _kinds(one) if kind not in ("array", "null"))
            said = next((one["description"] for one in parts if isinstance(one.get("description"), str)), "")
            yield Argument(f"{inner}{name}", types, said)
            yield from _walk(given, f"{inner}{name}.", depth + 1, definitions)


def _parts(
    schema: Any, definitions: Mapping[str, Any], depth: int, is_item: bool = False
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield the schema, its alternatives, and those of the items of a list; with whether it is of items."""
    schema = _resolved(schema, definitions)
    if not isinstance(schema, Mapping) or not depth:
        return
    yield schema, is_item
    yield from _parts(schema.get("items"), definitions, depth - 1, True)
    for key in ("anyOf", "oneOf", "allOf"):
        arms = schema.get(key)
        for arm in arms[:MAX_ARMS] if isinstance(arms, list) else ():
            yield from _parts(arm, definitions, depth - 1, is_item)


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    yield from (
        one for one in (kind if isinstance(kind, list) else [kind])[:MAX_ARMS] if isinstance(one, str)
    )


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return what a reference within the schema leads to. Each is followed once, so that circles end."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if not isinstance(reference, str):
        return schema
    found = definitions.get(reference.rsplit("/", 1)[-1])
    return found if isinstance(found, Mapping) else {}
