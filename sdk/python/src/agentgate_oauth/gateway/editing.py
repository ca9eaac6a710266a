"""Change `gateway.yaml` without losing its comments, and find the lines that messages point to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from .config import ConfigError, Gateway, dump, parse, to_yaml

Keys = tuple[str, ...]


def added(text: str, gateway: Gateway, before: Gateway) -> str | None:
    """Return the text with what `gateway` has besides `before`, or None if it must be written as a whole.

    New entries are put in front of others of the same mapping, but new resources at its end, because the
    first one that matches counts. Comments and order stay.
    """
    new, old = _document(gateway), _document(before)
    additions = list(_additions(new, old, ()))
    at_end = [one for one in additions if _is_resource(one[0])]
    for path, value in [*(one for one in reversed(additions) if one not in at_end), *at_end]:
        changed = _inserted(text, path, value)
        if changed is None:
            return None
        text = changed
    try:
        written = parse(text, "")
    except ConfigError:
        return None
    return text if written == gateway and _order(written) == _order(gateway) else None


def line_of(text: str, path: Keys) -> int | None:
    """Return the number of the line where the key at this path is, None if there is none."""
    node = yaml.compose(text, yaml.SafeLoader)
    line = None
    for key in path:
        found = _entry(node, key)
        if found is None:
            return None
        name, node = found
        line = name.start_mark.line + 1
    return line


def _is_resource(path: Keys) -> bool:
    return len(path) == 4 and path[2] == "resources"


def _order(gateway: Gateway) -> dict[str, list[str]]:
    return {prefix: list(upstream.resources) for prefix, upstream in gateway.upstreams.items()}


def _document(gateway: Gateway) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(dump(gateway))
    return document


def _additions(new: Any, old: Any, path: Keys) -> Any:
    """Yield each entry of a mapping that is new, with its path. The parents are there already."""
    for key, value in new.items():
        if key not in old:
            yield (*path, key), value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            yield from _additions(value, old[key], (*path, key))


def _inserted(text: str, path: Keys, value: Any) -> str | None:
    node = yaml.compose(text, yaml.SafeLoader)
    for key in path[:-1]:
        found = _entry(node, key)
        if found is None:
            return None
        node = found[1]
    if not isinstance(node, yaml.MappingNode) or not node.value:
        return None
    first = node.value[0][0].start_mark
    lines = text.splitlines(keepends=True)
    indent = lines[first.line][: first.column]
    if node.flow_style or indent.strip():
        return None
    entry = to_yaml({path[-1]: value})
    block = [indent + line for line in entry.splitlines(keepends=True)]
    at = _line_after(node.value[-1][1]) if _is_resource(path) else first.line
    return "".join([*lines[:at], *block, *lines[at:]])


def _line_after(node: yaml.Node) -> int:
    """Return the number of the line behind a value. A block ends where the next token begins."""
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return int(node.end_mark.line) + (not is_block)


def _entry(node: Any, key: str) -> tuple[Any, Any] | None:
    """Return the key and the value of an entry of a mapping."""
    entries = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((name, value) for name, value in entries if name.value == key), None)
