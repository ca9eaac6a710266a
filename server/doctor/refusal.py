"""What the doctor says if the settings cannot be read. Nothing else can be checked then."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

REFUSED = 2


@contextmanager
def refusal_of_start(*, is_json: bool) -> Iterator[None]:
    """Turn the line with which `agentgate.environment` ends the process into a finding and exit status 2."""
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        message = end.code.removeprefix("agentgate: ")
        checks = [{"check": "settings", "status": "problem", "message": message, "remedy": None}]
        answer = json.dumps({"status": "problem", "checks": checks})
        sys.stdout.write(f"{answer}\n" if is_json else f"problem  settings     {message}\n")
        sys.exit(REFUSED)
