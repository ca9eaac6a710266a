"""What SQLite keeps of deleted data, and how to overwrite it.

With `secure_delete` (agentgate/databases.py) it overwrites what it deletes in the file. The write-ahead log still has
earlier versions of pages, until a checkpoint has copied all of it and the next writer starts it again.
"""

import logging

from django.db import connection

logger = logging.getLogger(__name__)

# How long a checkpoint waits for readers of the log. Writers wait meanwhile.
WAIT_MILLISECONDS = 1000


def empty_wal() -> bool:
    """Copy the write-ahead log into the file and empty it. Return whether it worked: a slow reader prevents it.

    Call it after the commit. Do nothing on PostgreSQL.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return connection.vendor != "sqlite"
    with connection.cursor() as cursor:
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={WAIT_MILLISECONDS}")
        try:
            (is_busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout={before}")
    if is_busy:
        logger.warning("The write-ahead log of SQLite has a reader, so it keeps deleted data until it is overwritten.")
    return not is_busy
