"""The sequencer's loop: it moves the journal several times per second, whatever happens to the database.

There may be several loops, one beside each server. The one that moved the journal last goes on, because it has the end
of the log in memory. The others watch, and one of them takes over when something has waited for too long.
"""

import logging
import threading
import time
from contextlib import suppress

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Min

from audit.entries.journal import TABLE
from audit.models import Journal
from audit.sequencing import sequencer
from audit.sequencing.log import newest
from audit.sequencing.sequencer import INTERVAL_SECONDS, sequence
from audit.signing import checkpoints
from core.locks import Busy

logger = logging.getLogger(__name__)

# Whether this process moves the journal, and not another.
is_active = threading.Event()

LONGEST_PAUSE_SECONDS = 1.0
# Under load, fewer and larger runs cost less. With `TAKEOVER_SECONDS`, an entry must not wait much longer.
LOAD, INTERVAL_UNDER_LOAD = 500, 0.4
VACUUM_SECONDS = 5.0
TAKEOVER_SECONDS = 1.0
# Most pages of SQLite's write-ahead log are of the same tables, so rare checkpoints of it write fewer.
PAGES_PER_CHECKPOINT = 2000


def run(stopped: threading.Event) -> None:
    """Move the journal again and again until `stopped` is set. No error ends this."""
    vacuum, turn = Vacuum(), Turn()
    pause, failing = 0.0, False  # one that takes over does not wait
    while not stopped.wait(pause):
        moved = 0
        try:
            _spare_disk()
            with suppress(Busy):
                if turn.is_ours():
                    is_active.set()
                    moved = sequence(wait=False, stopped=stopped)
                    vacuum.run_after(moved)
                else:
                    is_active.clear()
        except Exception as error:
            if not failing:
                is_unexpected = not isinstance(error, DatabaseError | InterfaceError)
                reason = str(error).split("\n", 1)[0]
                logger.error("The sequencer failed and tries again: %s", reason, exc_info=is_unexpected)
            pause = min(2 * pause if failing else 2 * INTERVAL_SECONDS, LONGEST_PAUSE_SECONDS)
            failing = True
            connection.close()  # it may be broken
        else:
            if failing:
                logger.info("The sequencer works again.")
            pause, failing = INTERVAL_SECONDS if moved < LOAD else INTERVAL_UNDER_LOAD, False
    connection.close()


class Turn:
    """Decides whether this process moves the journal or leaves it to another."""

    def __init__(self) -> None:
        self._waiting: tuple[int | None, int] = (None, 0)
        self._since = time.monotonic()

    def is_ours(self) -> bool:
        """Return whether no other process has appended since this one did, or whether the other has stopped.

        A process that has just started tries. If several do, the first that appends goes on.
        """
        end = newest()
        if sequencer.memory.appended is None:
            sequencer.memory.appended = end
        return sequencer.memory.appended == end or self._has_stopped(end.size)

    def _has_stopped(self, size: int) -> bool:
        """Return whether the same row of the journal, or the same missing checkpoint, has waited for too long."""
        oldest = Journal.objects.exclude(pk__in=tuple(sequencer.memory.damaged)).aggregate(oldest=Min("pk"))["oldest"]
        waiting = (oldest, checkpoints.size())
        if waiting != self._waiting or (oldest is None and waiting[1] == size):
            self._waiting, self._since = waiting, time.monotonic()
        return time.monotonic() >= self._since + TAKEOVER_SECONDS


class Vacuum:
    """Frees the space of moved rows on PostgreSQL. Autovacuum comes too rarely for a table that turns over so fast."""

    def __init__(self) -> None:
        self._is_needed, self._last = False, time.monotonic()

    def run_after(self, entries: int) -> None:
        """Run every few seconds, if any entry was moved in the meantime."""
        self._is_needed = self._is_needed or entries > 0
        if not self._is_needed or time.monotonic() < self._last + VACUUM_SECONDS:
            return
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Truncating the file would lock out the decisions.
                cursor.execute(f"VACUUM (TRUNCATE false) {TABLE}")
        self._is_needed, self._last = False, time.monotonic()


def _spare_disk() -> None:
    """Make this process's commits on SQLite cheap, because the decisions wait meanwhile.

    They do not wait for the disk. A power failure can undo them, but only the latest, and then the journal has again
    what the log has lost. A checkpoint does wait for the disk, so nothing that it covers is undone.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute(f"PRAGMA wal_autocheckpoint={PAGES_PER_CHECKPOINT}")
