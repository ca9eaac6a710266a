"""Read JSON files."""

from __future__ import annotations

import json
from typing import Any

import typer

from .failures import USAGE, Failure


def read_json(source: typer.FileText) -> Any:
    """Return the file's JSON. Raises Failure with the file's name and the position of the error."""
    name = "standard input" if source.name in ("<stdin>", "-") else source.name
    try:
        return json.load(source)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        problem = f"{name} is not JSON: {error.msg} at {where}."
    except UnicodeDecodeError:
        problem = f"{name} is not UTF-8 text."
    raise Failure("invalid_json", problem, exit_code=USAGE)


def read_json_list(source: typer.FileText) -> list[Any]:
    """Return the file's JSON list. A single object becomes a list of one."""
    document = read_json(source)
    return document if isinstance(document, list) else [document]
