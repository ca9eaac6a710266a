"""Periodic deletion of empty counters, and the end of reservations."""

from functools import partial

from celery import shared_task

from core import clock
from core.sweeps import sweep
from limits import counters, reservations


@shared_task
def sweep_counters() -> int:
    return sweep(partial(counters.delete_idle_counters, clock.now()))


@shared_task
def sweep_reservations() -> int:
    now = clock.now()
    return sweep(partial(reservations.lapse_reservations, now), partial(reservations.delete_old_reservations, now))
