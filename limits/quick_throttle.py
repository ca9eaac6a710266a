"""A throttle without database writes, for requests that anyone may send many times per second.

The window is divided into slices. Redis counts across all processes. Without Redis, or while it does not respond, each
process counts separately: the throttle never fails open and never breaks a request, but the limit is then per process.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from core import clock
from core.errors import Throttled
from core.metrics import report_throttled
from limits.sliding_window import EPOCH
from limits.throttle import Subject, parse_rate

logger = logging.getLogger(__name__)

SLICES = 10
MAX_SUBJECTS = 100_000
OTHER_SUBJECTS = "everyone else"
# A request to an unresponsive Redis takes half a second, so the next one is sent only after this pause.
REDIS_PAUSE_SECONDS = 5.0

_redis_paused_until = 0.0


@dataclass(frozen=True, slots=True)
class QuickThrottle:
    """Allows at most `rate` per subject in any window, and refuses at most one slice, a tenth of the window, early."""

    name: str
    rate: str

    def hit(self, *subjects: Subject, number: int = 1) -> None:
        """Count `number` for each subject. If one of them has no room, raise `Throttled` and count nothing."""
        if number < 1:
            raise ValueError("The count must be 1 or more.")
        limit, window = parse_rate(self.rate)
        now = clock.now()
        slice_length = timedelta(seconds=window) / SLICES
        current = (now - EPOCH) // slice_length
        names = [subject.name for subject in subjects]
        counted = self._add(names, current, number, window)
        limits = [limit * subject.times for subject in subjects]
        if all(sum(counts) <= most for counts, most in zip(counted, limits, strict=True)):
            return
        self._add(names, current, -number, window)
        waits = [_wait(counts, most, number) for counts, most in zip(counted, limits, strict=True)]
        report_throttled(self.name)
        opens = EPOCH + (current + max(waits)) * slice_length
        raise Throttled(_seconds_up(opens - now) if max(waits) <= SLICES + 1 else window)

    def _add(self, names: Sequence[str], current: int, number: int, window: int) -> list[list[int]]:
        """Add to the current slice. Return the counts of each subject by slice, oldest first."""
        memory = memory_of(self.name, window)
        if not settings.REDIS_URL or time.monotonic() < _redis_paused_until:
            return memory.add(names, current, number)
        try:
            return _add_in_redis([f"throttle|{self.name}|{window}|{name}" for name in names], current, number, window)
        except (RedisError, OSError):
            logger.warning("Redis does not respond, so this process counts separately", exc_info=True)
            _pause_redis()
            return memory.add(names, current, number)


@dataclass(slots=True)
class Memory:
    """One throttle's counts in this process, by slice and subject."""

    slices: dict[int, dict[str, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, names: Sequence[str], current: int, number: int) -> list[list[int]]:
        with self.lock:
            for past in [each for each in self.slices if each < current - SLICES]:
                del self.slices[past]
            counts = self.slices.setdefault(current, {})
            counted = [self._room_for(name) for name in names]
            for name in counted:
                counts[name] = max(0, counts.get(name, 0) + number)
            kept = [self.slices.get(each, {}) for each in range(current - SLICES, current + 1)]
            return [[each.get(name, 0) for each in kept] for name in counted]

    def _room_for(self, name: str) -> str:
        """Return the name to count under. Beyond `MAX_SUBJECTS`, all other subjects share one count."""
        is_known = any(name in counts for counts in self.slices.values())
        return name if is_known or sum(map(len, self.slices.values())) < MAX_SUBJECTS else OTHER_SUBJECTS


_memories: dict[tuple[str, int], Memory] = {}


def memory_of(name: str, window: int) -> Memory:
    """Return this process's counts of a throttle."""
    return _memories.setdefault((name, window), Memory())


def _add_in_redis(keys: Sequence[str], current: int, number: int, window: int) -> list[list[int]]:
    pipeline = get_redis_connection().pipeline(transaction=False)
    for key in keys:
        pipeline.mget([f"{key}|{each}" for each in range(current - SLICES, current)])
        pipeline.incrby(f"{key}|{current}", number)
        pipeline.expire(f"{key}|{current}", 2 * window + 1)
    answers = pipeline.execute()
    pairs = zip(answers[::3], answers[1::3], strict=True)
    return [[*(int(each or 0) for each in past), count] for past, count in pairs]


def _pause_redis() -> None:
    global _redis_paused_until
    _redis_paused_until = time.monotonic() + REDIS_PAUSE_SECONDS


def _wait(counts: Sequence[int], limit: int, number: int) -> int:
    """Return after how many slices `number` more will fit: 0 if they fit now, more than a window has if never."""
    others = [*counts[:-1], counts[-1] - number]
    for slices in range(len(counts) + 1):
        if sum(others[slices:]) + number <= limit:
            return slices
    return len(counts) + 1


def _seconds_up(wait: timedelta) -> int:
    return max(1, -(-wait // timedelta(seconds=1)))
