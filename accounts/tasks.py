"""Periodic deletion of expired rows, and emails that wait for a worker."""

from celery import shared_task

from accounts import devices, notices, registration, services, verification
from core.sweeps import sweep


@shared_task
def sweep_session_tokens() -> int:
    return sweep(services.delete_expired_sessions)


@shared_task
def sweep_known_addresses() -> int:
    return sweep(services.delete_unused_addresses, devices.delete_unused_devices)


@shared_task
def sweep_browser_sessions() -> int:
    return sweep(services.delete_expired_browser_sessions)


@shared_task
def sweep_registrations() -> int:
    return sweep(registration.delete_expired_registrations, verification.delete_expired_address_codes)


@shared_task
def mail_notices() -> int:
    return notices.send_notices()
