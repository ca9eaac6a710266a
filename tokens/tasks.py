"""Sweeps of what has expired. Small batches, safe to repeat."""

from celery import shared_task

from tokens import services


@shared_task
def sweep_tokens() -> int:
    return services.delete_expired_tokens()
