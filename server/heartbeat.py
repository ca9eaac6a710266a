"""The worker's health check: `python -m server.heartbeat` exits with 0 if beat and the worker are running.

Beat sends a task every 20 seconds, and the worker that runs it touches a file. If beat, the broker or the worker
stops, the file becomes too old. `celery inspect ping` would not notice that beat has stopped.
"""

import sys
import time
from datetime import timedelta

from django.conf import settings

# Without a file younger than this, the health check fails.
HEARTBEAT_LIFETIME = timedelta(seconds=90)


def record_heartbeat() -> None:
    settings.HEARTBEAT_PATH.parent.mkdir(parents=True, exist_ok=True)
    settings.HEARTBEAT_PATH.touch()


def problem() -> str:
    """Return what is wrong, or an empty string."""
    try:
        age = time.time() - settings.HEARTBEAT_PATH.stat().st_mtime
    except OSError:
        return "no heartbeat yet"
    is_late = age > HEARTBEAT_LIFETIME.total_seconds()
    return f"the last heartbeat was {age:.0f} seconds ago" if is_late else ""


if __name__ == "__main__":
    sys.exit(problem() or 0)
