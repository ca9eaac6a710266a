"""Periodic deletion of unused and expired rows, in small batches that are safe to repeat."""

from celery import shared_task

from agents import registration


@shared_task
def sweep_unused_registrations() -> int:
    return registration.delete_unused_registrations()


@shared_task
def sweep_client_assertions() -> int:
    return registration.delete_expired_assertions()
