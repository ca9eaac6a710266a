"""Periodic work on the roll-ups: counting what is new in the log, and deleting what no page shows."""

from celery import shared_task

from core.sweeps import sweep
from insights import services


@shared_task
def count_log() -> int:
    """Count what is new in the log. What is left after the time of a sweep is for the next run."""
    return sweep(services.count_log)


@shared_task
def sweep_rollups() -> int:
    return sweep(
        services.delete_old_hours,
        services.delete_old_days,
        services.delete_former_editions,
    )
