"""The task that shows that beat and the worker are running."""

from celery import shared_task

from server import heartbeat


@shared_task
def record_heartbeat() -> None:
    heartbeat.record_heartbeat()
