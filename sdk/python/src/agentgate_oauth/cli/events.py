"""`agentgate events`: print the organization's events as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from .._api.events import await_page
from .._call import get
from ..admin import AgentGateAdmin
from ..errors import UnexpectedResponseError
from ..stores._files import write_private
from .connection import admin
from .failures import USAGE, Failure
from .names import agent_id
from .output import json_text

# The API's maximum.
MOST = 200


@dataclass(frozen=True)
class Lines:
    """A page of events as AgentGate sent them, so that a field that this program does not know stays."""

    items: list[Any]
    next: int


def events(
    after: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="Begin after the event with this number.")
    ] = 0,
    types: Annotated[
        str | None,
        typer.Option(metavar="TYPES", help="Only these, such as consent.*,token.replayed. Without it, all."),
    ] = None,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only this agent: a name or id.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new events.")] = False,
    cursor_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Store the last number in this file, and go on after it. It precedes --after.",
        ),
    ] = None,
) -> None:
    """Print the organization's events, oldest first, one JSON object per line.

    With --follow, an AgentGate that does not respond is asked again until it does.
    """
    with admin() as api:
        wanted = None if agent is None else agent_id(api, agent)
        number = after if cursor_file is None else _begin(cursor_file, after)
        for page in _pages(api, number, types, wanted, follow=follow):
            for event in page.items:
                typer.echo(json_text(event))
            # Only now, so that a restart repeats lines that may be lost, and loses none.
            if cursor_file is not None:
                _store(cursor_file, page.next)


def _pages(
    api: AgentGateAdmin, after: int, types: str | None, agent: str | None, *, follow: bool
) -> Iterator[Lines]:
    """Yield the pages up to the last one, or forever."""
    while True:
        if follow:
            waiting = await_page(api._credential, _lines, after=after, types=types, agent_id=agent)
            page = api._driver.run(waiting)
        else:
            call = get("/events", _lines, after=after, types=types, agent_id=agent, limit=MOST)
            page = api._driver.run(api._call(call))
        if page.next <= after:
            return
        yield page
        after = page.next


def _lines(document: Any) -> Lines:
    items, number = (document.get(name) if isinstance(document, dict) else None for name in ("items", "next"))
    if not isinstance(items, list) or not isinstance(number, int):
        raise UnexpectedResponseError("expected events with next")
    return Lines(items, number)


def _begin(file: str, after: int) -> int:
    """Return the number in the file, or `after` without a file. Raises Failure and OSError."""
    try:
        with open(file, encoding="ascii", errors="replace") as stored:
            text = stored.read(32).strip()
    except FileNotFoundError:
        _store(file, after)  # fails now if it cannot be written
        return after
    if not (text.isascii() and text.isdecimal()):
        hint = "It must have a number. Delete it to begin with --after."
        raise Failure("invalid_cursor", f"{file} has no number of an event.", hint=hint, exit_code=USAGE)
    return int(text)


def _store(file: str, number: int) -> None:
    write_private(Path(file), f"{number}\n")
