"""Periodic deletion of empty counters."""

from functools import partial

from celery import shared_task

from core import clock
from core.sweeps import sweep
from limits import counters


@shared_task
def sweep_counters() -> int:
    return sweep(partial(counters.delete_idle_counters, clock.now()))
