"""Read JSON from files and arguments."""

from __future__ import annotations

import json
from typing import IO, Annotated, Any

import typer

from .. import _json
from .failures import USAGE, Failure

Context = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help='What the call is about, such as \'{"recipient": "ada@example.com"}\', or @FILE with it.',
    ),
]


def read_json(source: IO[str]) -> Any:
    """Return the file's JSON. Raises Failure with the file's name and the position of the error."""
    name = "standard input" if source.name in ("<stdin>", "-") else source.name
    try:
        text = source.read()
    except UnicodeDecodeError:
        problem = f"{name} is not UTF-8 text."
    else:
        return _parse(text, name)
    raise Failure("invalid_json", problem, exit_code=USAGE)


def read_json_list(source: IO[str]) -> list[Any]:
    """Return the file's JSON list. A single object becomes a list of one."""
    document = read_json(source)
    return document if isinstance(document, list) else [document]


def read_context(text: str | None, ip: str | None) -> dict[str, Any] | None:
    """Return the context of a call from `--context` and `--ip`, None without either. Raises Failure."""
    context = {} if text is None else _read_argument(text)
    if not isinstance(context, dict):
        raise Failure("invalid_context", "--context must be a JSON object.", exit_code=USAGE)
    if ip is not None and "ip" in context:
        detail = "Give the address in --ip or in --context, not in both."
        raise Failure("invalid_context", detail, exit_code=USAGE)
    return {**context, **({} if ip is None else {"ip": ip})} or None


def _read_argument(text: str) -> Any:
    if not text.startswith("@"):
        return _parse(text, "--context")
    with open(text[1:], encoding="utf-8") as source:
        return read_json(source)


def _parse(text: str, name: str) -> Any:
    try:
        return _json.read_json(text.encode())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        problem = f"{name} is not JSON: {error.msg} at {where}."
    except ValueError as error:
        problem = f"{name}: {error}."
    raise Failure("invalid_json", problem, exit_code=USAGE)
