"""The command line, `agentgate`. Needs the extra: `pip install "agentgate-sdk[cli]"`."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit('agentgate: the command line needs: pip install "agentgate-sdk[cli]"')
    run()
