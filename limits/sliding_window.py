"""The arithmetic of an exact sliding window, without a database.

A window of W seconds is divided into 64 slots, and 65 are stored: the current one and the 64 before it. A call at time
t therefore counts until at least t + W, so no window of length W ever contains more calls than the limit. It counts for
at most W/64 longer, so a call is refused at most W/64 early. All times are whole microseconds.

What a call takes is a number: 1 for a request, or an amount in units of 10**-8. An amount can be held until a time
instead. It then counts until it is released or that time has passed, rounded up to a minute.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import NamedTuple

SLOTS = 65
SLOT_MICROSECONDS_PER_SECOND = 15_625  # a window of one second, divided by 64
KEY_LENGTH = 200
NUMBER_BYTES = 16
MAX_NUMBER = 2 ** (8 * NUMBER_BYTES) - 1  # of a slot, and of what is held until one minute
MINUTE_MICROSECONDS = 60_000_000
EXPIRY_STEP_SECONDS = 3600
# How much the clocks of servers may differ. What was counted later than that was counted before a clock was set back.
MAX_SKEW_MICROSECONDS = 5_000_000
MAX_HELD_MINUTES = 61
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND = timedelta(microseconds=1)
# Two formats. Most counters only have numbers below 2**32. The wide one is longer: it ends with what is held.
_RING = struct.Struct(f"<{SLOTS}I")
_WIDE_RING = struct.Struct("<" + f"{NUMBER_BYTES}s" * SLOTS)
_HELD = struct.Struct(f"<q{NUMBER_BYTES}s")


def counter_key(*parts: object) -> str:
    """Return the key of a counter: the joined parts, or their digest if they are too long."""
    key = "|".join(map(str, parts))
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


class Carried(NamedTuple):
    """Another counter that a limit reads, too: what was counted before an edit, or what an edit charged to everyone.

    With `at`, it has counted nothing after that time except amounts that were held. With `until`, only the calls count
    that may have been made by then.
    """

    key: str
    window_seconds: int
    at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CounterRequest:
    """One limit that a call must pass: at most `limit` in any `window_seconds`, counted under `key`.

    The call takes `number` of it. If that `is_amount`, a reservation holds it. `denial` says why a call is denied that
    does not fit.

    The key must include the window, so that one row never mixes two, and no personal data in plain text. What the
    `carried` counters have is added, but the call is counted only under `key`.
    """

    key: str
    limit: int
    window_seconds: int
    carried: tuple[Carried, ...] = ()
    number: int = 1
    is_amount: bool = False
    denial: str = "The rate limit is exceeded."

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= KEY_LENGTH:
            raise ValueError(f"A counter's key must have 1 to {KEY_LENGTH} characters.")
        if any(not 0 < len(each.key) <= KEY_LENGTH or each.key == self.key for each in self.carried):
            raise ValueError("A carried counter must be a counter other than itself.")
        if self.limit < 1 or self.window_seconds < 1 or self.number < 0:
            raise ValueError("A counter's limit and window must be 1 or more, and its number 0 or more.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all counters that the limit reads."""
        return (self.key, *[each.key for each in self.carried]) if self.carried else (self.key,)

    @property
    def windows(self) -> tuple[tuple[str, int], ...]:
        """The keys of all counters that the limit reads, each with its window in seconds."""
        return ((self.key, self.window_seconds), *[each[:2] for each in self.carried])


@dataclass(slots=True)
class LoadedCounter:
    """A counter in memory. `slot` is the number of the newest slot. `counts` is a ring buffer.

    `held` is what is held, by the minute at which it lapses. `slot` decreases only if a clock was far ahead and was set
    back: what was counted ahead of now then counts as now, for at most one window.
    """

    key: str
    window_seconds: int
    slot: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * SLOTS)
    changed: bool = False
    held: dict[int, int] = field(default_factory=dict)
    _advanced_to: datetime | None = field(default=None, compare=False)

    @classmethod
    def unpack(cls, key: str, window_seconds: int, slot: int, packed: bytes) -> "LoadedCounter":
        """Return the stored counter, or a new one if `packed` is empty. Raises `struct.error` for damaged bytes."""
        if not packed:
            return cls(key, window_seconds)
        if len(packed) == _RING.size:
            return cls(key, window_seconds, slot, list(_RING.unpack(packed)))
        return cls(key, window_seconds, slot, *_unpack_wide(packed))

    def pack(self) -> bytes:
        if not self.held:
            try:
                return _RING.pack(*self.counts)
            except struct.error:  # a number needs more than 32 bits
                pass
        return _pack_wide(self.counts, self.held)

    @property
    def is_new(self) -> bool:
        """Whether it has never counted."""
        return not self.slot and not self.held

    def is_ahead(self, now: datetime) -> bool:
        """Return whether it has counted by a clock that was set back since."""
        # The next slot can be that of `take_late`.
        is_slot_ahead = (self.slot - 1) * self._slot_microseconds > _microseconds(now) + MAX_SKEW_MICROSECONDS
        return is_slot_ahead or any(minute > _minute_up(now) + MAX_HELD_MINUTES for minute in self.held)

    def used(self, now: datetime) -> int:
        """Return what counts at `now`."""
        self._advance(now)
        used = sum(self.counts)
        return used + sum(self.held.values()) if self.held else used

    def room(self, limit: int, now: datetime) -> int:
        """Return how much more fits at `now`, at least 0."""
        return max(0, limit - self.used(now))

    def take(self, number: int, now: datetime) -> None:
        """Count `number` at `now`, even if it does not fit. Check `room` first."""
        self._advance(now)
        self.counts[self.slot % SLOTS] += number
        self.changed = True

    def take_late(self, number: int, now: datetime) -> None:
        """Count `number` in the slot after that of `now`, and keep what leaves the window as the oldest that counts.

        For a counter that others, with longer windows, count on from as it was at an earlier time. By its slot they
        see that it has counted since.
        """
        self._correct(now)
        before = sum(self.counts)
        self._move_to(self._slot_of(now) + 1)
        self.counts[(self.slot + 1) % SLOTS] += before - sum(self.counts)
        self.counts[self.slot % SLOTS] += number
        self.changed = True

    def hold(self, number: int, until: datetime) -> None:
        """Let `number` count until it is released, or until the first full minute at or after `until`."""
        if number:
            self._hold(_minute_up(until), number)

    def release(self, number: int, until: datetime) -> bool:
        """Take back a hold, and return True. If it has lapsed, as another clock may find first, return False."""
        minute = _minute_up(until)
        rest = self.held.get(minute, 0) - number
        if rest < 0:
            return False
        self.held[minute] = rest
        if not rest:
            del self.held[minute]
        self.changed = True
        return True

    def add(
        self, other: "LoadedCounter", now: datetime, *, at: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Add the calls that count in `other`, which may have another window, each at the latest time possible.

        That is the end of its slot, or `now`, so no call is dropped before its window has passed. With `at`, add those
        that counted in `other` at that time: it has counted nothing since but late commits. With `until`, add only the
        calls that may have been made by then, and nothing that is held.
        """
        if at is not None:
            at = min(at, now)  # it is later only if a clock was set back since
        self._advance(now)
        other._correct(now)
        other._move_to(other._slot_of(at or now))
        if until is None:
            self.add_held(other)
        if at is not None and other.slot > other._slot_of(at):
            at, until = None, None  # A late commit has moved it on, so the times of its calls are less certain.
        for start, latest, count in other._counted(_microseconds(at or now)):
            if until is not None and start > _microseconds(until):
                return
            slot = latest // self._slot_microseconds
            self._move_to(slot)
            if slot > self.slot - SLOTS:
                self.counts[slot % SLOTS] = min(MAX_NUMBER, self.counts[slot % SLOTS] + count)
        self.changed = True

    def add_held(self, other: "LoadedCounter") -> None:
        """Hold here, too, what is held in `other`."""
        for minute, number in other.held.items():
            self._hold(minute, number)

    def give_back(self, now: datetime) -> None:
        """Remove the newest call that still counts at `now`, if any."""
        self._advance(now)
        for slot in range(self.slot, self.slot - SLOTS, -1):
            if self.counts[slot % SLOTS]:
                self.counts[slot % SLOTS] -= 1
                self.changed = True
                return

    def retry_after(self, limit: int, now: datetime, number: int = 1) -> int | None:
        """Return the seconds, rounded up, until `number` more fits: 0 if it fits now, None if it never does.

        They are at most the window, although calls count up to W/64 longer, and amounts that are held until they lapse.
        """
        excess = self.used(now) - limit + number
        if excess <= 0:
            return 0
        for moment, freed in self._changes() if number <= limit else ():
            excess -= freed
            if excess <= 0:
                return min(self.window_seconds, _seconds_up(moment - _microseconds(now)))
        return None

    @property
    def expires_at(self) -> datetime:
        """The time when the counter is empty, rounded up to a full step.

        The column is indexed, so a value that changed with every call would prevent PostgreSQL's in-place updates.
        """
        empty_at = self._leaves_at(self.slot)
        if self.held:
            empty_at = max(empty_at, max(self.held) * MINUTE_MICROSECONDS)
        steps = -(-_seconds_up(empty_at) // EXPIRY_STEP_SECONDS)
        return EPOCH + timedelta(seconds=steps * EXPIRY_STEP_SECONDS)

    @property
    def _slot_microseconds(self) -> int:
        return self.window_seconds * SLOT_MICROSECONDS_PER_SECOND

    def _slot_of(self, moment: datetime) -> int:
        return _microseconds(moment) // self._slot_microseconds

    def _leaves_at(self, slot: int) -> int:
        return (slot + SLOTS) * self._slot_microseconds

    def _advance(self, now: datetime) -> None:
        """Move to the slot of `now` and clear expired slots and holds. Do nothing if the clock went back a little.

        A batch asks several times, always with the same object.
        """
        if now is self._advanced_to:
            return
        self._correct(now)
        moment = _microseconds(now)
        self._move_to(moment // self._slot_microseconds)
        if self.held:
            self.held = {minute: held for minute, held in self.held.items() if minute * MINUTE_MICROSECONDS > moment}
        self._advanced_to = now

    def _correct(self, now: datetime) -> None:
        """Count as now what was counted ahead of it. This must be saved, or it would be done again at each time."""
        if not self.is_ahead(now):
            return
        current = self._slot_of(now)
        counted = {slot: self.counts[slot % SLOTS] for slot in range(self.slot - SLOTS + 1, self.slot + 1)}
        self.slot, self.counts = current, [0] * SLOTS
        for slot, count in counted.items():
            if slot > current - SLOTS:
                self.counts[min(slot, current) % SLOTS] += count
        latest = _minute_up(now) + MAX_HELD_MINUTES
        held, self.held = self.held, {}
        for minute, number in held.items():
            self._hold(min(minute, latest), number)
        self.changed = True

    def _move_to(self, target: int) -> None:
        for slot in range(self.slot + 1, min(target, self.slot + SLOTS) + 1):
            self.counts[slot % SLOTS] = 0
        self.slot = max(self.slot, target)

    def _hold(self, minute: int, number: int) -> None:
        self.held[minute] = min(MAX_NUMBER, self.held.get(minute, 0) + number)
        self.changed = True

    def _changes(self) -> Iterator[tuple[int, int]]:
        """Yield when less will count, in order, with the numbers."""
        slots = range(self.slot - SLOTS + 1, self.slot + 1)
        leaving = ((self._leaves_at(slot), self.counts[slot % SLOTS]) for slot in slots)
        lapsing = ((minute * MINUTE_MICROSECONDS, number) for minute, number in sorted(self.held.items()))
        return merge(leaving, lapsing)

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


def _minute_up(moment: datetime) -> int:
    return -(-_microseconds(moment) // MINUTE_MICROSECONDS)


def _pack_wide(counts: Iterable[int], held: Mapping[int, int]) -> bytes:
    ring = _WIDE_RING.pack(*(count.to_bytes(NUMBER_BYTES, "little") for count in counts))
    items = (_HELD.pack(minute, number.to_bytes(NUMBER_BYTES, "little")) for minute, number in sorted(held.items()))
    return b"".join((ring, *items))


def _unpack_wide(packed: bytes) -> tuple[list[int], bool, dict[int, int]]:
    """Return the counts, that nothing has changed, and what is held. Raises `struct.error`."""
    ring = _WIDE_RING.unpack(packed[: _WIDE_RING.size])
    held = _HELD.iter_unpack(packed[_WIDE_RING.size :])
    return list(map(_number, ring)), False, {minute: _number(number) for minute, number in held}


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "little")
