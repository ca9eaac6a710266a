"""Sweeps of expired rows."""

from celery import shared_task

from core.sweeps import sweep
from tokens import repeats, services


@shared_task
def sweep_tokens() -> int:
    return sweep(
        repeats.delete_old_answers,
        services.delete_expired_access_tokens,
        services.delete_expired_refresh_tokens,
        services.delete_expired_delegations,
        services.delete_expired_families,
    )
