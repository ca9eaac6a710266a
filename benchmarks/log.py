"""What the product must have logged: an entry for each decision, all of them in the log once the journal is empty."""

import time

from tests.live.server import Database

DRAIN_SECONDS = 120
VERIFIED = "event = 'token.verify' AND outcome = 'allowed'"
JOURNAL = "audit_journal"


class Log:
    """The log of one database. `answers`, `entries` and `drain_seconds` are the totals and the longest wait so far.

    `wanted` is the condition of the entries that count.
    """

    def __init__(self, database: Database, wanted: str = VERIFIED) -> None:
        self._database, self._wanted = database, wanted
        self.answers = 0
        self.drain_seconds = 0.0
        self._before = self._count()

    @property
    def entries(self) -> int:
        return self._count() - self._before

    def size(self) -> int:
        """Return the number of all entries, as the sequencer has numbered them. It takes an index, and no time."""
        return int(self._database.rows("SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_entry")[0][0])

    def expect(self, answers: int) -> None:
        """Wait for the sequencer. Raises `RuntimeError` if there were more answers than wanted entries."""
        self.answers += answers
        self._drain()
        if self.entries < self.answers:
            raise RuntimeError(f"{self.answers} answers but only {self.entries} log entries")

    def _drain(self) -> None:
        began = time.monotonic()
        while self._database.count(JOURNAL):
            if time.monotonic() - began > DRAIN_SECONDS:
                raise RuntimeError("the sequencer does not empty the journal")
            time.sleep(0.05)
        self.drain_seconds = max(self.drain_seconds, time.monotonic() - began)

    def _count(self) -> int:
        return self._database.count("audit_entry", self._wanted)
