"""The task that shows that beat and worker are at work."""

from celery import shared_task

from agentgate import heartbeat


@shared_task
def record_heartbeat() -> None:
    heartbeat.record_heartbeat()
