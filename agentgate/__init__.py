"""The Django project: settings, URLs, checks and the Celery application. No other package imports it."""

from agentgate.celery import app as celery_app

__all__ = ["celery_app"]
