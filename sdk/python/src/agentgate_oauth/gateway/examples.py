"""Try an example call of a tool against its line: what would be refused before AgentGate is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from .arguments import declared_value
from .config import Amount, Context, ToolLine, Upstream
from .given import folders_of, root_of
from .lock import Definition
from .question import Refused, ask_about_tool

MAX_EXAMPLES = 5
A_FOLDER = "/the/folder/that/it/serves"


def refused_examples(
    name: str, line: ToolLine, definition: Definition, upstream: Upstream
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the examples of a tool that the gateway refuses, with the reason.

    They are those of its schema, else one of the arguments that the line maps. Clients give a program on
    their machine absolute paths, and a remote server relative ones.
    """
    schema = definition.get("inputSchema")
    for example in islice(_examples(schema, line.context, upstream), MAX_EXAMPLES):
        try:
            ask_about_tool(line, line.context, example, name, schema, "", upstream.root)
        except Refused as error:
            yield example, str(error)


def takes_paths(line: ToolLine) -> bool:
    """Return whether the line maps arguments `as: path`."""
    return line.context.target is not None and line.context.target.kind == "path"


def missing_root(upstream: Upstream) -> str | None:
    """Return the line that an upstream with a command needs, because its tools take paths and it has none."""
    is_missing = upstream.command is not None and upstream.root is None
    if not is_missing or not any(map(takes_paths, upstream.tools.values())):
        return None
    folders = folders_of(upstream)
    return f"root: {(root_of(folders) or '/') if folders else A_FOLDER}"


def _examples(schema: Any, context: Context, upstream: Upstream) -> Iterator[Mapping[str, Any]]:
    given = schema.get("examples") if isinstance(schema, Mapping) else None
    declared = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    yield from declared or [_example(schema, context, upstream)]


def _example(schema: Any, context: Context, upstream: Upstream) -> Mapping[str, Any]:
    example: dict[str, Any] = {}
    for mapped in (context.recipient, context.target, context.text):
        for name in mapped.arguments if mapped else ():
            otherwise = _path(upstream) if mapped and mapped.kind == "path" else "example"
            _put(example, name, declared_value(schema, name, otherwise))
    if context.amount is not None:
        _put_amount(example, schema, context.amount)
    return example


def _path(upstream: Upstream) -> str:
    if upstream.command is None:
        return "example.txt"
    return next(iter(folders_of(upstream)), upstream.root or f"{A_FOLDER}/example.txt")


def _put_amount(example: dict[str, Any], schema: Any, amount: Amount) -> None:
    usual = 12.5 if amount.minor_units is None else 1250
    _put(example, amount.argument, declared_value(schema, amount.argument, usual))
    if not isinstance(amount.currency, str):
        name = amount.currency.argument
        _put(example, name, declared_value(schema, name, "EUR"))


def _put(example: dict[str, Any], name: str, value: Any) -> None:
    """Set a value at a path with dots."""
    *outer, last = name.split(".")
    for one in outer:
        inner = example.get(one)
        if not isinstance(inner, dict):
            inner = example[one] = {}
        example = inner
    example[last] = value
