"""The Celery application. Its configuration is the `CELERY_*` settings, and its log that of the server."""

import logging.config
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init
from django.conf import settings

from core.ids import NO_REQUEST, current_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")

WATCH_SECONDS = 1.0

app = Celery("agentgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def create_queue_folders(sender: Celery, **kwargs: Any) -> None:
    """Create the folders of the queue that replaces Redis: kombu reads and writes them, but does not create them."""
    for name, folder in sender.conf.broker_transport_options.items():
        if "folder" in name:
            Path(folder).mkdir(parents=True, exist_ok=True)


@setup_logging.connect
def use_our_logging(**kwargs: Any) -> None:
    """Log as the server does. With a receiver of this signal, Celery configures no logging itself."""
    logging.config.dictConfig(settings.LOGGING)
    logging.captureWarnings(capture=True)


@worker_init.connect
def stop_with_parent(**kwargs: Any) -> None:
    """Stop when the process that has started this one has ended, because nothing else would (`server.pair`)."""
    parent = os.environ.get("AGENTGATE_WORKER")
    if parent:
        threading.Thread(target=_watch, args=(int(parent),), name="watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


@task_prerun.connect
def show_task_in_log(task_id: str, **kwargs: Any) -> None:
    current_id.set(task_id)


@task_postrun.connect
def show_no_task_in_log(**kwargs: Any) -> None:
    current_id.set(NO_REQUEST)
