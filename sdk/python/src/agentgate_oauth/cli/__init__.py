"""The command line, `agentgate`. Requires `pip install "./sdk/python[cli]"` in a checkout."""

from __future__ import annotations

import io
import sys

from ..errors import MissingExtraError


def main() -> None:
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit(f"agentgate: {MissingExtraError('cli')}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding does not have must not end the command.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())
