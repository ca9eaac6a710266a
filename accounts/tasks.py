"""Periodic deletion of expired rows."""

from celery import shared_task

from accounts import registration, services, verification
from core.sweeps import sweep


@shared_task
def sweep_session_tokens() -> int:
    return sweep(services.delete_expired_sessions)


@shared_task
def sweep_known_addresses() -> int:
    return sweep(services.delete_unused_addresses)


@shared_task
def sweep_browser_sessions() -> int:
    return sweep(services.delete_expired_browser_sessions)


@shared_task
def sweep_registrations() -> int:
    return sweep(registration.delete_expired_registrations, verification.delete_expired_address_codes)
