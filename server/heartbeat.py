"""The worker's health check: `python -m server.heartbeat` exits with 0 if beat and the worker are running.

Beat sends a task every few seconds, and the worker that runs it touches a file. If beat, the broker or the worker
stops, the file becomes too old. `celery inspect ping` would not notice that beat has stopped.
"""

import sys
import time
from pathlib import Path

from agentgate.environment import ENVIRONMENT

INTERVAL_SECONDS = 20
MAX_AGE_SECONDS = 90


def heartbeat_path() -> Path:
    return ENVIRONMENT.path("HEARTBEAT_PATH", "var/heartbeat")


def record_heartbeat() -> None:
    path = heartbeat_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def problem() -> str:
    """Return what is wrong, or an empty string."""
    try:
        age = time.time() - heartbeat_path().stat().st_mtime
    except OSError:
        return "no heartbeat yet"
    return f"the last heartbeat was {age:.0f} seconds ago" if age > MAX_AGE_SECONDS else ""


if __name__ == "__main__":
    sys.exit(problem() or 0)
