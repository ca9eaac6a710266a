"""Sessions that end with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .protocol import SessionRecord


class MemoryStore:
    """Keeps records in this process only. The default."""

    def __init__(self) -> None:
        self._records: dict[str, SessionRecord] = {}
        self._locks: dict[str, threading.Lock] = {}

    def load(self, key: str) -> SessionRecord | None:
        return self._records.get(key)

    def save(self, key: str, record: SessionRecord) -> None:
        self._records[key] = record

    def delete(self, key: str) -> None:
        self._records.pop(key, None)

    def try_lock(self, key: str) -> Callable[[], None] | None:
        # setdefault is atomic, also in free-threaded Python.
        lock = self._locks.setdefault(key, threading.Lock())
        return lock.release if lock.acquire(blocking=False) else None
