"""Periodic deletion of empty counters."""

from celery import shared_task

from core import clock
from limits import counters


@shared_task
def sweep_counters() -> int:
    return counters.delete_idle_counters(clock.now())
