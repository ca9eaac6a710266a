"""Ask before something is deleted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .failures import USAGE, Failure
from .output import plain

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal, unless `yes`. Raises Failure without a terminal, typer.Abort after a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        detail = f"{plain(question)} This needs a confirmation, and there is no terminal to ask on."
        raise Failure("confirmation_required", detail, hint="If you are sure, add --yes.", exit_code=USAGE)
    typer.confirm(plain(question), abort=True, err=True)
