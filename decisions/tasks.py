"""Periodic deletion of old backtests."""

from functools import partial

from celery import shared_task

from core import clock
from core.sweeps import sweep
from decisions.whatif.backtests import delete_old_backtests


@shared_task
def sweep_backtests() -> int:
    return sweep(partial(delete_old_backtests, clock.now()))
