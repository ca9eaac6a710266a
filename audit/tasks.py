"""Periodic destruction of keys, after which the log has no personal data of that time."""

from celery import shared_task

from audit import personal_keys
from core.sqlite import empty_wal
from core.sweeps import sweep


@shared_task
def destroy_old_keys() -> int:
    destroyed = sweep(personal_keys.destroy_old_keys)
    if destroyed:
        empty_wal()
    return destroyed
