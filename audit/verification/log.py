"""Verifies the whole log in one pass over its entries, whatever is appended meanwhile."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from audit.condition import damaged_rows
from audit.events import Event
from audit.models import Entry, LogKey
from audit.sequencing.log import newest
from audit.signing import checkpoints
from audit.verification import Bad
from audit.verification.entries import Checked, checked_entries
from audit.verification.erasures import Erasures
from audit.verification.segments import Segments
from audit.verification.stops import Stops
from audit.verification.streams import Saved, Streams, read_saved
from audit.verification.tree import Frontier, Stated, Tiles, stated_roots


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified. `unreadable` entries have personal data that a former `JWT_SECRET` has encrypted.

    `damaged` entries stand in for what could not be logged. `discarded` is how often an operator discarded a row of the
    journal with entries that could not be read.
    """

    size: int
    streams: int
    checkpoints: int
    unreadable: int
    damaged: int = 0
    discarded: int = 0


def verify_log(keys: Sequence[LogKey], earlier: Stated | None = None) -> Verified:
    """Verify the log, and that an `earlier` checkpoint is of its beginning. Raises `Bad` at the first thing wrong."""
    with _snapshot():
        size, covered, saved = newest().size, checkpoints.size(), read_saved()
    if covered > size:
        raise Bad(f"truncated: checkpoint {covered} is signed, but the log has {size} entries", size)
    if saved.size > size:
        raise Bad(f"truncated: the streams are saved at size {saved.size}, but the log has {size} entries", size)
    if earlier and earlier.size > size:
        raise Bad(f"rollback: {earlier.name} has size {earlier.size}, but the log has {size} entries", size)
    return _Pass(keys, size, saved, earlier).run()


class _Pass:
    """One pass over the entries."""

    def __init__(self, keys: Sequence[LogKey], size: int, saved: Saved, earlier: Stated | None) -> None:
        self._size = size
        self._saved = saved
        self._earlier = earlier
        self._stated = stated_roots(keys, size)
        self._next = next(self._stated, None)
        self._frontier, self._tiles, self._months = Frontier(), Tiles(size), Months()
        self._segments, self._streams, self._stops = Segments(), Streams(), Stops()
        self._checkpoints = self._proven = self._unreadable = 0
        self._events: Counter[str] = Counter()
        self._erasures = Erasures()

    def run(self) -> Verified:
        self._check_at(0)
        for size, checked in enumerate(checked_entries(self._size), 1):
            self._append(checked)
            self._check_at(size)
        self._tiles.check_end()
        self._segments.check_end()
        self._erasures.check_end()
        _check_journal()
        damaged, discarded = self._events[Event.ENTRY_DAMAGED], self._events[Event.JOURNAL_ROW_DISCARDED]
        return Verified(self._size, len(self._streams), self._checkpoints, self._unreadable, damaged, discarded)

    def _append(self, checked: Checked) -> None:
        self._tiles.append(checked.leaf_hash)
        self._frontier.append(checked.leaf_hash)
        self._months.add(checked.entry)
        self._streams.append(checked)
        self._segments.append(checked.entry)
        self._stops.append(checked.entry)
        self._unreadable += checked.is_unreadable
        self._events[checked.entry.event] += 1
        self._erasures.append(checked)

    def _check_at(self, size: int) -> None:
        """Check what is stored or stated of the log at this size."""
        if self._next and self._next.size == size:
            self._check_root(self._next)
            self._checkpoints, self._next = self._checkpoints + 1, next(self._stated, None)
        if self._saved.size == size:
            self._streams.check_saved(self._saved)
        if self._earlier and self._earlier.size == size and self._frontier.root() != self._earlier.root:
            raise Bad(f"fork: {self._earlier.name} and the log have different roots at size {size}")

    def _check_root(self, stated: Stated) -> None:
        if self._frontier.root() != stated.root:
            last = f" to {stated.size - 1}" if stated.size - 1 > self._proven else ""
            raise Bad(f"the entries{last} do not have the root of {stated.name}", self._proven)
        if stated.created_at:
            self._months.check_at(stated.created_at)
        self._proven = stated.size


def _check_journal() -> None:
    """Check that nothing is kept from the log."""
    damaged = damaged_rows()
    if damaged:
        some = ", ".join(map(str, damaged[:10]))
        raise Bad(f"incomplete: {len(damaged)} rows of the journal are damaged ({some}). See audit_damaged.")


@contextmanager
def _snapshot() -> Iterator[None]:
    """Let the reads in this context see one moment, without keeping decisions from writing."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")  # Django's transactions keep others from writing
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


# Clocks may have gone back a little between an entry and a checkpoint.
TOLERANCE = timedelta(days=1)


class Months:
    """The months so far. They never go back, and none is later than the checkpoint that covers it."""

    def __init__(self) -> None:
        self._newest = 0
        self._since = 0
        self._latest = datetime.min.replace(tzinfo=UTC)

    def add(self, entry: Entry) -> None:
        if entry.month < self._newest or not 1 <= entry.month % 100 <= 12:
            raise Bad(f"the month {entry.month} is not that of the log", entry.leaf_index)
        if entry.month > self._newest:
            self._newest, self._since = entry.month, entry.leaf_index

    def check_at(self, moment: datetime) -> None:
        """Check that the newest month had begun at this moment, or at an earlier one, when a checkpoint covered it.

        After the clock was ahead for long enough to begin a month, the checkpoints of that time say so.
        """
        self._latest = max(self._latest, moment)
        if self._newest > month_of(self._latest + TOLERANCE):
            raise Bad(f"the month {self._newest} is later than the checkpoint that covers the entry", self._since)


def month_of(moment: datetime) -> int:
    this = moment.astimezone(UTC)
    return 100 * this.year + this.month
