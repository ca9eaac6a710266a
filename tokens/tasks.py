"""Sweeps of expired rows, in small batches that are safe to repeat."""

from celery import shared_task

from tokens import services


@shared_task
def sweep_tokens() -> int:
    return services.delete_expired_tokens()
