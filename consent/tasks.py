"""Sweeps of expired rows, in small batches that are safe to repeat."""

from celery import shared_task

from consent import codes, services


@shared_task
def sweep_consents() -> int:
    return services.expire_consents()


@shared_task
def sweep_undecided_consents() -> int:
    return services.delete_undecided_consents()


@shared_task
def sweep_codes() -> int:
    return codes.delete_expired_codes()
