"""The sweep of counters in which nothing counts any longer. Small batches, safe to repeat."""

from celery import shared_task

from core import clock
from limits import counters

BATCH = 500


@shared_task
def sweep_counters() -> int:
    return counters.delete_idle_counters(clock.now(), BATCH)
