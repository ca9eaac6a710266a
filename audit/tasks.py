"""Periodic work on the log: the destruction of old keys, and the archive."""

import logging

from celery import shared_task

from audit.archiving.archive import archive_next
from audit.archiving.archive_format import Broken
from audit.entries import personal_keys
from core.locks import Busy
from core.sqlite import empty_wal
from core.sweeps import sweep

logger = logging.getLogger(__name__)


@shared_task
def destroy_old_keys() -> int:
    """Destroy keys of former months, after which the log has no personal data of that time."""
    destroyed = sweep(personal_keys.destroy_old_keys)
    if destroyed:
        empty_wal()
    return destroyed


@shared_task
def archive_month() -> None:
    """Archive one month. What fails is tried again on the next day, and nothing is deleted meanwhile."""
    try:
        archive_next(logger.info)
    except Busy:
        logger.info("Another process is archiving.")
    except Broken as error:
        logger.critical("A month cannot be archived, and stays in the database: %s", error)
