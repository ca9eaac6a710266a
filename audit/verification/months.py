"""Checks the months of the entries, which decide their partition. The records do not have them."""

from datetime import UTC, datetime, timedelta

from audit.models import Entry
from audit.verification import Bad

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
