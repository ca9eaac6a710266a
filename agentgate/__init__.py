"""The Django project: settings, URLs and the processes that run them."""

from agentgate.celery import app as celery_app

__all__ = ["celery_app"]
