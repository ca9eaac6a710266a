"""Counting of calls in loaded counters, independent of the database.

`limits.counters` reads and writes the rows with Django's connection. Code with a connection of its own can do the same.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from limits.sliding_window import EPOCH, CounterRequest, LoadedCounter

# How many counters one call may need, and all calls of one request: each is a row to read, lock and save. A request has
# room for as many shadow policies, too: each can write an entry.
# An organization's policies give a call at most 32 limits (`policies.quotas`). Two organizations can be concerned, the
# user can add some, and an edit can double them for a time.
MAX_PER_CALL = 128
MAX_PER_REQUEST = 1000


class CounterRow(NamedTuple):
    """What is stored of a counter, apart from its key. `counts` is packed."""

    slot: int
    counts: bytes
    expires_at: datetime


# A counter that has not counted yet. It can be deleted at once.
EMPTY_ROW = CounterRow(0, b"", EPOCH)


@dataclass(frozen=True, slots=True)
class CounterDenial:
    """A denied call. `index` is the first of its requests whose counter is full.

    After `retry_after_seconds` all of them have room, unless other calls use it first. None if one of them never has.
    """

    index: int
    retry_after_seconds: int | None


def row_of(counter: LoadedCounter) -> CounterRow:
    """Return what to store of the counter."""
    return CounterRow(counter.slot, counter.pack(), counter.expires_at)


def take_call(
    call: Sequence[CounterRequest], counters: Mapping[str, LoadedCounter], now: datetime
) -> CounterDenial | None:
    """Count one call in locked counters. If one of them is full, count nothing and return the denial.

    A counter that is requested twice counts once, with the lower limit.
    """
    denial = find_denial(call, counters, now)
    if denial is None:
        count_call(call, counters, now)
    return denial


def find_denial(
    call: Sequence[CounterRequest], counters: Mapping[str, LoadedCounter], now: datetime
) -> CounterDenial | None:
    """Return the denial of a call that does not fit, or None if it fits. Count nothing."""
    waits = [_wait(request, counters, now) for request in call]
    if waits.count(0) == len(waits):
        return None
    index = next(index for index, wait in enumerate(waits) if wait != 0)
    return CounterDenial(index, None if None in waits else max(filter(None, waits)))


def count_call(
    call: Sequence[CounterRequest],
    counters: Mapping[str, LoadedCounter],
    now: datetime,
    hold_until: datetime | None = None,
) -> None:
    """Count a call that fits in locked counters. With `hold_until`, its amounts are held until then instead."""
    for request in {request.key: request for request in call}.values():
        counter = counters[request.key]
        if hold_until is not None and request.is_amount:
            counter.hold(request.number, hold_until)
        else:
            counter.take(request.number, now)


def windows_by_key(requests: Iterable[CounterRequest]) -> dict[str, int]:
    """Return the window, in seconds, of each counter that the requests read. Raises `ValueError` for two windows."""
    windows: dict[str, int] = {}
    for request in requests:
        for key, window in request.windows:
            if windows.setdefault(key, window) != window:
                raise ValueError("A counter must have only one window. Include the window in its key.")
    return windows


def _wait(request: CounterRequest, counters: Mapping[str, LoadedCounter], now: datetime) -> int | None:
    counter = counters[request.key]
    if request.carried:
        counter = LoadedCounter(request.key, request.window_seconds)
        counter.add(counters[request.key], now)
        for each in request.carried:
            counter.add(counters[each.key], now, at=each.at, until=each.until)
    return counter.retry_after(request.limit, now, request.number)


class Room:
    """Room for this many counters. A counter that several limits or calls need counts once."""

    __slots__ = ("_keys", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[str] = set()

    def take(self, keys: Collection[str]) -> bool:
        """Return whether these counters fit, and add them. Those that were added before always fit."""
        added = [key for key in keys if key not in self._keys]
        if len(self._keys) + len(added) > self._most:
            return False
        self._keys.update(added)
        return True
