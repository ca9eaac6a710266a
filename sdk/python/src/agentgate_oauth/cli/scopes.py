"""`agentgate scopes`: show the catalogue of scopes."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

import typer

from ..models import Scope
from .connection import visitor
from .failures import Failure
from .options import command, group
from .output import plain, print_facts, show, show_list

app = group("Show the catalogue of scopes.")


@command(app, "list", example="agentgate scopes list --category email")
def list_scopes(
    category: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="Only this category, such as email.")
    ] = None,
) -> None:
    """List the scopes of the catalogue. Requires no sign-in."""
    with visitor() as api:
        found = api.list_scopes(category)
    show_list(found, ("id", "category", "risk", "title"), lambda s: (s.id, s.category, s.risk_level, s.title))


@command(app, "show", example="agentgate scopes show email:send")
def show_scope(
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="The scope's id, such as email:send.")],
) -> None:
    """Show what one scope permits, and what it does not."""
    with visitor() as api:
        catalogue = {entry.id: entry for entry in api.list_scopes()}
    found = catalogue.get(scope)
    if found is None:
        raise _unknown(scope, list(catalogue))
    show(found, lambda: _print_scope(found))


def _print_scope(scope: Scope) -> None:
    print_facts(
        id=scope.id,
        title=scope.title,
        category=scope.category,
        risk=scope.risk_level,
        permits=scope.description,
        does_not_permit=scope.cannot,
    )


def _unknown(scope: str, known: list[str]) -> Failure:
    near = get_close_matches(scope, known, n=3)
    hint = f"Did you mean: {', '.join(near)}?" if near else "List them with: agentgate scopes list"
    return Failure("not_found", f"The catalogue has no scope “{plain(scope)}”.", hint=hint)
