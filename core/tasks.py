"""Delete expired idempotency records."""

from celery import shared_task

from core import idempotency


@shared_task
def sweep_idempotency_records() -> int:
    return idempotency.delete_expired_records()
