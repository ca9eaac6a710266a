"""Sweeps of what has run out. Small batches, safe to repeat."""

from celery import shared_task

from core import clock, counters, idempotency

BATCH = 500


@shared_task
def sweep_counters() -> int:
    return counters.delete_idle_counters(clock.now(), BATCH)


@shared_task
def sweep_idempotency_records() -> int:
    return idempotency.delete_expired_records(limit=BATCH)
