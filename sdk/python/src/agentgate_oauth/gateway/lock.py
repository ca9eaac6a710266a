"""`gateway.lock`: the full definitions that the operator has accepted, which clients are shown.

A definition is what the upstream's list says about a tool, resource, resource template or prompt, as JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import rfc8785

from .._json import read_json
from .config import ConfigError

MAX_BYTES = 50_000_000
Definition = Mapping[str, Any]
Kind = Literal["tools", "resources", "templates", "prompts"]
KINDS: tuple[Kind, ...] = ("tools", "resources", "templates", "prompts")


@dataclass(frozen=True)
class Definitions:
    """What one upstream offers: tools and prompts by name, resources and templates by URI."""

    instructions: str | None = None
    tools: Mapping[str, Definition] = field(default_factory=dict)
    resources: Mapping[str, Definition] = field(default_factory=dict)
    templates: Mapping[str, Definition] = field(default_factory=dict)
    prompts: Mapping[str, Definition] = field(default_factory=dict)

    def of(self, kind: Kind) -> Mapping[str, Definition]:
        found: Mapping[str, Definition] = getattr(self, kind)
        return found

    def with_one(self, kind: Kind, name: str, definition: Definition | None) -> Definitions:
        """Return these definitions with one replaced, or without it."""
        kept = {key: value for key, value in self.of(kind).items() if key != name}
        changed: dict[str, Any] = {kind: kept if definition is None else {**kept, name: definition}}
        return replace(self, **changed)


@dataclass(frozen=True)
class Change:
    """A difference between what is pinned and what the upstream says now."""

    kind: Kind | Literal["instructions"]
    name: str
    before: Definition | str | None
    after: Definition | str | None

    @property
    def what(self) -> Literal["changed", "gone", "new"]:
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "changed"

    def lines(self) -> list[str]:
        """Return a unified diff of the two definitions. Hidden characters are shown as escapes."""
        before, after = _readable(self.before), _readable(self.after)
        return list(unified_diff(before, after, "pinned", "now", lineterm="", n=2))


def digest(definition: Definition) -> str:
    """Return the SHA-256 of a definition in canonical form, in hexadecimal digits. Raises ValueError."""
    return canonical_digest(definition)


def canonical_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form (RFC 8785). Raises ValueError if it has none.

    It has none if a whole number is beyond 2^53-1, so that parsers read it differently, if a number is not
    finite, or if text has a lone surrogate.
    """
    try:
        return sha256(rfc8785.dumps(value)).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as error:
        raise ValueError(f"it has no canonical JSON: {error}") from None


def changes(pinned: Definitions, now: Definitions) -> Iterator[Change]:
    """Yield what differs, also what is new or gone."""
    if pinned.instructions != now.instructions:
        yield Change("instructions", "instructions", pinned.instructions, now.instructions)
    for kind in KINDS:
        before, after = pinned.of(kind), now.of(kind)
        for name in dict.fromkeys([*before, *after]):
            if name not in before or name not in after or not _is_same(before[name], after[name]):
                yield Change(kind, name, before.get(name), after.get(name))


Lock = dict[str, Definitions]


def load(path: Path) -> Lock:
    """Return the pinned definitions of each upstream. Raises ConfigError."""
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
        document = read_json(content)
        if document["version"] != 1:
            raise ValueError("version must be 1")
        return {prefix: _read_definitions(one) for prefix, one in document["upstreams"].items()}
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist. Write it with: agentgate gateway init") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}. Restore it, or run gateway init again.") from None


def save(path: Path, lock: Lock) -> None:
    """Write the file in one step, so that a gateway that reads it sees the old or the new one."""
    upstreams = {
        prefix: {"instructions": one.instructions, **{kind: dict(one.of(kind)) for kind in KINDS}}
        for prefix, one in lock.items()
    }
    text = json.dumps({"version": 1, "upstreams": upstreams}, indent=1, ensure_ascii=True) + "\n"
    replace_file(path, text)


def replace_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file beside `path`, and put it in its place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_definitions(document: Any) -> Definitions:
    instructions = document["instructions"]
    if instructions is not None and not isinstance(instructions, str):
        raise ValueError("instructions must be text")
    found: dict[str, Any] = {kind: document[kind] for kind in KINDS}
    for definitions in found.values():
        for name, definition in definitions.items():
            if not isinstance(definition, dict):
                raise ValueError(f"the definition of {name} must be an object")
            digest(definition)
    return Definitions(instructions, **found)


def _is_same(before: Definition, after: Definition) -> bool:
    try:
        return digest(before) == digest(after)
    except ValueError:
        return False


def _readable(value: Definition | str | None) -> list[str]:
    if value is None:
        return []
    return json.dumps(value, indent=2, ensure_ascii=True, sort_keys=True).splitlines()
