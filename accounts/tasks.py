"""Periodic deletion of expired rows, in small batches that are safe to repeat."""

from celery import shared_task

from accounts import registration, services, verification


@shared_task
def sweep_session_tokens() -> int:
    return services.delete_expired_sessions()


@shared_task
def sweep_known_addresses() -> int:
    return services.delete_unused_addresses()


@shared_task
def sweep_browser_sessions() -> int:
    return services.delete_expired_browser_sessions()


@shared_task
def sweep_registrations() -> int:
    return registration.delete_expired_registrations() + verification.delete_expired_address_codes()
