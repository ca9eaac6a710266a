"""The sweep of idempotency records that have run out. Small batches, safe to repeat."""

from celery import shared_task

from core import idempotency

BATCH = 500


@shared_task
def sweep_idempotency_records() -> int:
    return idempotency.delete_expired_records(limit=BATCH)
