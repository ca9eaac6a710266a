"""Sweeps of unused and expired rows."""

from celery import shared_task

from consent import codes, services, unused_clients
from core.sweeps import sweep


@shared_task
def sweep_consents() -> int:
    return sweep(services.expire_requests, services.expire_grants)


@shared_task
def sweep_undecided_consents() -> int:
    return sweep(services.delete_undecided_consents)


@shared_task
def sweep_codes() -> int:
    return sweep(codes.delete_expired_codes)


@shared_task
def sweep_unused_registrations() -> int:
    return sweep(unused_clients.delete_unused_registrations)
