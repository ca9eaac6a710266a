"""A throttle without database writes, for requests that anyone may send many times per second.

The window is divided into slices. Redis counts across all processes. Without Redis, or while it does not respond, each
process counts separately: the throttle never fails open and never breaks a request, but the limit is then per process.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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


# By name, what to add to the current slice; and the counts by slice, oldest first.
Amounts = Mapping[str, int]
Counts = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Hit:
    """An attempt that counts `number` for each subject, or nothing if one of them has no room."""

    subjects: Sequence[Subject]
    number: int = 1

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError("The count must be 1 or more.")


@dataclass(frozen=True, slots=True)
class QuickThrottle:
    """Allows at most `rate` per subject in any window, and refuses at most one slice, a tenth of the window, early."""

    name: str
    rate: str

    def hit(self, *subjects: Subject, number: int = 1) -> None:
        """Count `number` for each subject. If one of them has no room, raise `Throttled` and count nothing."""
        (refusal,) = self.hit_all([Hit(subjects, number)])
        if refusal is not None:
            raise refusal

    def hit_all(self, hits: Sequence[Hit]) -> list[Throttled | None]:
        """Count hits in order, in one round trip. Return the refusal of each, or None if it was counted.

        All are counted before any is allowed, so processes that count at the same time never allow more than the limit.
        What was refused is subtracted afterwards.
        """
        limit, window = parse_rate(self.rate)
        batch = _HitBatch(clock.now(), limit, window)
        asked = _amounts(hits)
        counted = self._add(asked, batch)
        # Without our own hits, which are decided one by one.
        counts = {name: [*past, current - asked[name]] for name, (*past, current) in counted.items()}
        refusals = [batch.decide(hit, counts) for hit in hits]
        refused = _amounts([hit for hit, refusal in zip(hits, refusals, strict=True) if refusal])
        if refused:
            self._add({name: -number for name, number in refused.items()}, batch)
            report_throttled(self.name, sum(refusal is not None for refusal in refusals))
        return refusals

    def _add(self, amounts: Amounts, batch: "_HitBatch") -> Counts:
        """Add to the current slice. Return the counts of each subject."""
        current, window = batch.slice, batch.window
        memory = memory_of(self.name, window)
        if not settings.REDIS_URL or time.monotonic() < _redis_paused_until:
            return memory.add(amounts, current)
        try:
            return _add_in_redis(f"throttle|{self.name}|{window}", amounts, current, window)
        except (RedisError, OSError):
            logger.warning("Redis does not respond, so this process counts separately", exc_info=True)
            _pause_redis()
            return memory.add(amounts, current)


class _HitBatch:
    """The hits that are counted together at one moment."""

    def __init__(self, now: datetime, limit: int, window: int) -> None:
        self.window = window
        self._now = now
        self._limit = limit
        self._slice_length = timedelta(seconds=window) / SLICES
        self.slice = (now - EPOCH) // self._slice_length

    def decide(self, hit: Hit, counts: Counts) -> Throttled | None:
        """Add the hit to `counts` if there is room for it. Otherwise return the refusal."""
        waits = [_wait(counts[each.name], self._limit * each.times, hit.number) for each in hit.subjects]
        if max(waits) > 0:
            return self._refuse(max(waits))
        for subject in hit.subjects:
            counts[subject.name][-1] += hit.number
        return None

    def _refuse(self, slices: int) -> Throttled:
        opens = EPOCH + (self.slice + slices) * self._slice_length
        return Throttled(_seconds_up(opens - self._now) if slices <= SLICES + 1 else self.window)


@dataclass(slots=True)
class Memory:
    """One throttle's counts in this process, by slice and subject."""

    slices: dict[int, dict[str, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, amounts: Amounts, current: int) -> Counts:
        with self.lock:
            for past in [each for each in self.slices if each < current - SLICES]:
                del self.slices[past]
            counts = self.slices.setdefault(current, {})
            counted = {name: self._room_for(name) for name in amounts}
            for name, number in amounts.items():
                counts[counted[name]] = max(0, counts.get(counted[name], 0) + number)
            kept = [self.slices.get(each, {}) for each in range(current - SLICES, current + 1)]
            return {name: [each.get(shared, 0) for each in kept] for name, shared in counted.items()}

    def _room_for(self, name: str) -> str:
        """Return the name to count under. Beyond `MAX_SUBJECTS`, all other subjects share one count."""
        is_known = any(name in counts for counts in self.slices.values())
        return name if is_known or sum(map(len, self.slices.values())) < MAX_SUBJECTS else OTHER_SUBJECTS


_memories: dict[tuple[str, int], Memory] = {}


def memory_of(name: str, window: int) -> Memory:
    """Return this process's counts of a throttle."""
    return _memories.setdefault((name, window), Memory())


def _add_in_redis(prefix: str, amounts: Amounts, current: int, window: int) -> Counts:
    pipeline = get_redis_connection().pipeline(transaction=False)
    for name, number in amounts.items():
        key = f"{prefix}|{name}"
        pipeline.mget([f"{key}|{each}" for each in range(current - SLICES, current)])
        pipeline.incrby(f"{key}|{current}", number)
        pipeline.expire(f"{key}|{current}", 2 * window + 1)
    answers = pipeline.execute()
    found = zip(amounts, answers[::3], answers[1::3], strict=True)
    return {name: [*(int(each or 0) for each in past), count] for name, past, count in found}


def _pause_redis() -> None:
    global _redis_paused_until
    _redis_paused_until = time.monotonic() + REDIS_PAUSE_SECONDS


def _amounts(hits: Sequence[Hit]) -> Amounts:
    """Return what the hits count for each subject."""
    amounts: Counter[str] = Counter()
    for hit in hits:
        for subject in hit.subjects:
            amounts[subject.name] += hit.number
    return amounts


def _wait(counts: Sequence[int], limit: int, number: int) -> int:
    """Return after how many slices `number` more will fit: 0 if now, and more slices than a window has if never."""
    for slices in range(len(counts) + 1):
        if sum(counts[slices:]) + number <= limit:
            return slices
    return len(counts) + 1


def _seconds_up(wait: timedelta) -> int:
    return max(1, -(-wait // timedelta(seconds=1)))
