"""The Celery application; `CELERY_*` settings configure it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")

app = Celery("agentgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
