"""Ask before something is deleted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .failures import USAGE, Failure
from .output import plain

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(question: str, *, yes: bool, other: str = "") -> bool:
    """Ask on the terminal, unless `yes`. Return whether the user chose `other`, by its first letter.

    Raises Failure without a terminal, typer.Abort after a no.
    """
    if yes:
        return False
    if not sys.stdin.isatty():
        detail = f"{plain(question)} This needs a confirmation, and there is no terminal to ask on."
        raise Failure("confirmation_required", detail, hint="If you are sure, add --yes.", exit_code=USAGE)
    if not other:
        typer.confirm(plain(question), abort=True, err=True)
        return False
    text = plain(f"{question} [y = yes, {other[0]} = yes, but {other}, N = no]")
    answer = typer.prompt(text, default="n", show_default=False, err=True).strip().lower()
    if answer not in ("y", "yes", other[0]):
        raise typer.Abort
    return answer == other[0]
