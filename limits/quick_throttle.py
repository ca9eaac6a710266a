"""A throttle that costs no database write, for what anyone may ask many times a second.

The window is cut into slices. Redis counts for all processes together; without Redis, or while it does not answer, each
process counts by itself. So it never fails open and never fails a request, but the bound is then per process.
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
from limits.sliding_window import EPOCH
from limits.throttle import Subject, parse_rate

logger = logging.getLogger(__name__)

SLICES = 10
MAX_SUBJECTS = 100_000
EVERYONE_ELSE = "everyone else"
# Redis that does not answer costs half a second: it is left alone for so long.
REDIS_REST_SECONDS = 5.0

_redis_rests_until = 0.0


@dataclass(frozen=True, slots=True)
class QuickThrottle:
    """At most `rate` for each subject in any window; refused early by at most one slice, a tenth of the window."""

    name: str
    rate: str

    def hit(self, *subjects: Subject, number: int = 1) -> None:
        """Count `number` for each subject. Raises `Throttled`, and counts nothing, if that does not fit for one."""
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
        opens = EPOCH + (current + max(waits)) * slice_length
        raise Throttled(_seconds_up(opens - now) if max(waits) <= SLICES + 1 else window)

    def _add(self, names: Sequence[str], current: int, number: int, window: int) -> list[list[int]]:
        """Add to the current slice; return the counts of each subject, oldest slice first, the current one last."""
        memory = memory_of(self.name, window)
        if not settings.REDIS_URL or time.monotonic() < _redis_rests_until:
            return memory.add(names, current, number)
        try:
            return _add_in_redis([f"throttle|{self.name}|{window}|{name}" for name in names], current, number, window)
        except (RedisError, OSError):
            logger.warning("Redis does not answer, so this process counts by itself", exc_info=True)
            _let_redis_rest()
            return memory.add(names, current, number)


@dataclass(slots=True)
class Memory:
    """The counts of one throttle in this process, by slice and subject."""

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
        """Return the name to count under. Beyond `MAX_SUBJECTS`, all further subjects share one count."""
        is_known = any(name in counts for counts in self.slices.values())
        return name if is_known or sum(map(len, self.slices.values())) < MAX_SUBJECTS else EVERYONE_ELSE


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


def _let_redis_rest() -> None:
    global _redis_rests_until
    _redis_rests_until = time.monotonic() + REDIS_REST_SECONDS


def _wait(counts: Sequence[int], limit: int, number: int) -> int:
    """Return in how many slices `number` more will fit; 0 if they fit now, more than a window's if never."""
    others = [*counts[:-1], counts[-1] - number]
    for slices in range(len(counts) + 1):
        if sum(others[slices:]) + number <= limit:
            return slices
    return len(counts) + 1


def _seconds_up(wait: timedelta) -> int:
    return max(1, -(-wait // timedelta(seconds=1)))
