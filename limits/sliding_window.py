"""The arithmetic of an exact sliding window, without a database.

A window of W seconds is divided into 64 slots, and 65 are stored: the current one and the 64 before it. A call at time
t therefore counts until at least t + W, so no window of length W ever contains more calls than the limit. It counts for
at most W/64 longer, so a call is refused at most W/64 early. All times are whole microseconds.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SLOTS = 65
SLOT_MICROSECONDS_PER_SECOND = 15_625  # a window of one second, divided by 64
KEY_LENGTH = 200
MAX_COUNT = 2**32 - 1  # of a slot
EXPIRY_STEP_SECONDS = 3600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND = timedelta(microseconds=1)
_RING = struct.Struct(f"<{SLOTS}I")


def counter_key(*parts: object) -> str:
    """Return the key of a counter: the joined parts, or their digest if they are too long."""
    key = "|".join(map(str, parts))
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CounterRequest:
    """One limit that a call must pass: at most `limit` in any `window_seconds`, counted under `key`.

    The key must include the window, so that one row never mixes two, and no personal data in plain text. The counts of
    `added_key`, for the same window, are added to those of `key`, but the call is counted only under `key`.
    """

    key: str
    limit: int
    window_seconds: int
    added_key: str = ""

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= KEY_LENGTH:
            raise ValueError(f"A counter's key must have 1 to {KEY_LENGTH} characters.")
        if len(self.added_key) > KEY_LENGTH or self.added_key == self.key:
            raise ValueError("The added counter must be a counter other than itself.")
        if self.limit < 1 or self.window_seconds < 1:
            raise ValueError("A counter's limit and window must be 1 or more.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all counters that the limit reads."""
        return (self.key, self.added_key) if self.added_key else (self.key,)


@dataclass(slots=True)
class LoadedCounter:
    """A counter in memory. `slot` is the number of the newest slot and never decreases. `counts` is a ring buffer."""

    key: str
    window_seconds: int
    slot: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * SLOTS)
    changed: bool = False

    @classmethod
    def unpack(cls, key: str, window_seconds: int, slot: int, packed: bytes) -> "LoadedCounter":
        """Return the stored counter, or a new one if `packed` is empty. Raises `struct.error` for damaged bytes."""
        if not packed:
            return cls(key, window_seconds)
        return cls(key, window_seconds, slot, list(_RING.unpack(packed)))

    def pack(self) -> bytes:
        return _RING.pack(*self.counts)

    def used(self, now: datetime) -> int:
        """Return the number of calls that count at `now`."""
        self._advance(now)
        return sum(self.counts)

    def room(self, limit: int, now: datetime) -> int:
        """Return how many more calls fit at `now`, at least 0."""
        return max(0, limit - self.used(now))

    def take(self, number: int, now: datetime) -> None:
        """Count `number` calls at `now`, even if they do not fit. Check `room` first."""
        self._advance(now)
        self.counts[self.slot % SLOTS] += number
        self.changed = True

    def add(self, other: "LoadedCounter", now: datetime, *, until: datetime | None = None) -> None:
        """Add the calls that count in `other`, which may have another window, each at the latest time possible.

        That is the end of its slot, or `now`, so no call is dropped before its window has passed. With `until`, add
        only the calls that may have been made by then.
        """
        self._advance(now)
        other._advance(now)
        for start, latest, count in other._counted(_microseconds(now)):
            if until is not None and start > _microseconds(until):
                return
            slot = latest // self._slot_microseconds
            self._move_to(slot)
            if slot > self.slot - SLOTS:
                self.counts[slot % SLOTS] = min(MAX_COUNT, self.counts[slot % SLOTS] + count)
        self.changed = True

    def give_back(self, now: datetime) -> None:
        """Remove the newest call that still counts at `now`, if any."""
        self._advance(now)
        for slot in range(self.slot, self.slot - SLOTS, -1):
            if self.counts[slot % SLOTS]:
                self.counts[slot % SLOTS] -= 1
                self.changed = True
                return

    def retry_after(self, limit: int, now: datetime) -> int:
        """Return the seconds, rounded up, until one more call fits. 0 if it fits now."""
        excess = self.used(now) - limit + 1
        if excess <= 0:
            return 0
        slot = self.slot - SLOTS
        while excess > 0:
            slot += 1
            excess -= self.counts[slot % SLOTS]
        return _seconds_up(self._leaves_at(slot) - _microseconds(now))

    @property
    def expires_at(self) -> datetime:
        """The time when the counter is empty, rounded up to a full step.

        The column is indexed, so a value that changed with every call would prevent PostgreSQL's in-place updates.
        """
        steps = -(-_seconds_up(self._leaves_at(self.slot)) // EXPIRY_STEP_SECONDS)
        return EPOCH + timedelta(seconds=steps * EXPIRY_STEP_SECONDS)

    @property
    def _slot_microseconds(self) -> int:
        return self.window_seconds * SLOT_MICROSECONDS_PER_SECOND

    def _leaves_at(self, slot: int) -> int:
        return (slot + SLOTS) * self._slot_microseconds

    def _advance(self, now: datetime) -> None:
        """Move to the slot of `now` and clear expired slots. Do nothing if the clock has gone back."""
        self._move_to(_microseconds(now) // self._slot_microseconds)

    def _move_to(self, target: int) -> None:
        for slot in range(self.slot + 1, min(target, self.slot + SLOTS) + 1):
            self.counts[slot % SLOTS] = 0
        self.slot = max(self.slot, target)

    def _counted(self, now: int) -> Iterator[tuple[int, int, int]]:
        """Yield the earliest and latest time of each slot that is not empty, with its count."""
        for slot in range(self.slot - SLOTS + 1, self.slot + 1):
            if count := self.counts[slot % SLOTS]:
                start = slot * self._slot_microseconds
                yield start, min(start + self._slot_microseconds - 1, max(now, start)), count


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND


def _seconds_up(microseconds: int) -> int:
    return -(-microseconds // 1_000_000)
