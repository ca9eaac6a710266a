"""The Celery application. Its configuration is the `CELERY_*` settings."""

import os
from pathlib import Path
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")

app = Celery("agentgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def create_queue_folders(sender: Celery, **kwargs: Any) -> None:
    """Create the folders of the queue that replaces Redis: kombu reads and writes them, but does not create them."""
    for name, folder in sender.conf.broker_transport_options.items():
        if "folder" in name:
            Path(folder).mkdir(parents=True, exist_ok=True)
