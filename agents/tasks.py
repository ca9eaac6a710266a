"""Periodic deletion of expired rows."""

from celery import shared_task

from agents import registration
from core.sweeps import sweep


@shared_task
def sweep_client_assertions() -> int:
    return sweep(registration.delete_expired_assertions)
