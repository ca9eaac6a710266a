"""When each background task last ran, how long it took, and how it ended, for the health page of all servers."""

import logging
import time
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.db import DatabaseError

from core import clock
from core.models import TaskRun

logger = logging.getLogger(__name__)

MAX_ERROR_LENGTH = 200
# By id of the task: when it began, by the clock and by a timer.
_begun: dict[str, tuple[Any, float]] = {}


def record_run(name: str, *, started_at: Any, seconds: float, result: Any, error: str = "") -> None:
    """Store the run as the task's last one."""
    values: dict[str, Any] = {
        "started_at": started_at,
        "seconds": seconds,
        "result": result if isinstance(result, int) and not error else None,
        "error": error[:MAX_ERROR_LENGTH],
    }
    if error:
        values["failed_at"] = started_at
    TaskRun.objects.update_or_create(name=name, defaults=values)


def begin(task_id: str, **kwargs: Any) -> None:
    _begun[task_id] = (clock.now(), time.monotonic())


def end(task_id: str, task: Any, retval: Any = None, state: str = "", **kwargs: Any) -> None:
    """Record the run. A task must not fail because this does."""
    started_at, began = _begun.pop(task_id, (clock.now(), time.monotonic()))
    error = "" if state == "SUCCESS" else type(retval).__name__  # its message could hold personal data
    try:
        seconds = time.monotonic() - began
        record_run(task.name, started_at=started_at, seconds=seconds, result=retval, error=error)
    except DatabaseError:
        logger.warning("The run of %s could not be recorded.", task.name, exc_info=True)


def listen() -> None:
    """Record each run in this process."""
    task_prerun.connect(begin)
    task_postrun.connect(end)
