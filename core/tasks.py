"""Delete expired idempotency records."""

from celery import shared_task

from core import idempotency
from core.sweeps import sweep


@shared_task
def sweep_idempotency_records() -> int:
    return sweep(idempotency.delete_expired_records)
