"""The command line, `agentgate`. Requires `pip install "./sdk/python[cli]"` in a checkout."""

from __future__ import annotations

import sys

from ..errors import MissingExtraError


def main() -> None:
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit(f"agentgate: {MissingExtraError('cli')}")
    sys.exit(run())
