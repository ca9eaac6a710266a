"""When a task was last allowed to touch data of each label: the memory of the guard against data flows.

The times are rows of the counters' table, so that decisions lock and save them like counters. They do not depend on a
rule's window, so editing it forgets nothing. After an edit of the actions, other rows are read, too (`policies.flows`).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from limits.counting import CounterRow
from limits.sliding_window import EPOCH, EXPIRY_STEP_SECONDS, MAX_SKEW_MICROSECONDS

PRIVATE, UNTRUSTED, OUTBOUND = "private", "untrusted", "outbound"
DANGEROUS = frozenset({PRIVATE, UNTRUSTED})
# The longest window of a rule.
KEPT_SECONDS = 2_592_000

_TIMES = struct.Struct("<qq")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class LoadedFlow:
    """The row of a task, of a connection, or of a connection's calls without a task.

    The times are microseconds since 1970, 0 if there was no such call.
    """

    key: str
    private: int = 0
    untrusted: int = 0
    changed: bool = False

    @classmethod
    def unpack(cls, key: str, packed: bytes) -> "LoadedFlow":
        """Return the stored times, or none if `packed` is empty. Raises `struct.error` for damaged bytes."""
        return cls(key, *_TIMES.unpack(packed)) if packed else cls(key)

    def seen(self, window_seconds: int, now: datetime, until: datetime | None = None) -> set[str]:
        """Return which labels the calls of the window have had. With `until`, a later call counts as one at that time.

        There may have been another one before, which the row has forgotten.
        """
        self._correct(now)
        oldest = _microseconds(now) - window_seconds * 1_000_000
        latest = _microseconds(until or now)
        times = {PRIVATE: self.private, UNTRUSTED: self.untrusted}
        return {label for label, at in times.items() if at and (min(at, latest) if until else at) >= oldest}

    def mark(self, labels: frozenset[str], now: datetime) -> None:
        """Record an allowed call."""
        self._correct(now)
        at = _microseconds(now)
        if PRIVATE in labels:
            self.private = max(self.private, at)
        if UNTRUSTED in labels:
            self.untrusted = max(self.untrusted, at)
        self.changed = True

    def _correct(self, now: datetime) -> None:
        """Let calls count as now that are ahead of it, because a clock was set back: for one window at most."""
        at = _microseconds(now)
        if max(self.private, self.untrusted) > at + MAX_SKEW_MICROSECONDS:
            self.private, self.untrusted = min(self.private, at), min(self.untrusted, at)
            self.changed = True

    def row(self) -> CounterRow:
        """Return what to store, which stays the same for an hour except for the times."""
        last = max(self.private, self.untrusted)
        steps = last // (EXPIRY_STEP_SECONDS * 1_000_000) + KEPT_SECONDS // EXPIRY_STEP_SECONDS + 1
        expires_at = EPOCH + timedelta(seconds=steps * EXPIRY_STEP_SECONDS)
        return CounterRow(0, _TIMES.pack(self.private, self.untrusted), expires_at)


class CarriedFlow(NamedTuple):
    """A row of a guard that an edit replaced or stood beside, as it was `at` that time."""

    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FlowRequest:
    """A call with `labels`. If it is allowed, the rows of `marked` remember it.

    A call that sends data out is a hit if, with the calls that the rows `watched` and `carried` remember from the
    window, it has both dangerous labels. Its own labels count, because one call can bring in a stranger's text and act
    on it.
    """

    marked: tuple[str, ...]
    watched: tuple[str, ...]
    labels: frozenset[str]
    window_seconds: int
    asks: bool
    carried: tuple[CarriedFlow, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The rows to lock."""
        rows = self.marked if self.labels & DANGEROUS else ()
        if OUTBOUND not in self.labels:
            return rows
        return tuple(dict.fromkeys((*rows, *self.watched, *[each.key for each in self.carried])))

    def is_hit(self, flows: Mapping[str, LoadedFlow], now: datetime) -> bool:
        if OUTBOUND not in self.labels:
            return False
        seen = self.labels.union(
            *(flows[key].seen(self.window_seconds, now) for key in self.watched),
            *(flows[each.key].seen(self.window_seconds, now, each.at) for each in self.carried),
        )
        return seen >= DANGEROUS

    def mark(self, flows: Mapping[str, LoadedFlow], now: datetime) -> None:
        """Record the call, which is allowed."""
        if self.labels & DANGEROUS:
            for key in self.marked:
                flows[key].mark(self.labels, now)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND
