"""The task that sends events, and a sweep.

The first has a process of its own, so that hanging receivers keep no other task waiting.
"""

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down

from core.sweeps import sweep
from events import endings
from events.dispatching import dispatch

QUEUE = "events"
# Beat sends the task as often.
EXPIRES_SECONDS = 10

_running = threading.Lock()
_stopped = threading.Event()


@shared_task(acks_late=False)
def deliver() -> None:
    """Send events until the worker stops. Beat sends this task often, and it returns if it is running already."""
    if _stopped.is_set() or not _running.acquire(blocking=False):
        return
    try:
        dispatch(_stopped)
    finally:
        _running.release()


@shared_task
def sweep_deliveries() -> int:
    """Delete what is old, and what is left of webhooks that were deleted."""
    return sweep(
        endings.delete_old_deliveries,
        endings.delete_deliveries_of_deleted,
        endings.delete_deleted,
        endings.end_overlaps,
    )


@worker_ready.connect
def begin(sender: Any, **kwargs: object) -> None:
    """Start sending at once in the process that does so: beat's next message can be far away."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        deliver.apply_async(expires=EXPIRES_SECONDS)


@worker_shutting_down.connect
def stop(**kwargs: object) -> None:
    # From a signal handler in the main thread, which may be holding the event's lock.
    threading.Thread(target=_stopped.set, daemon=True).start()
