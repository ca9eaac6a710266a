"""The condition of the log, as the health check of the event loop sees it."""

import threading

import pytest

from audit.condition import Condition
from core.pool import Pool
from server.front import log_watch
from server.front.log_watch import LogWatch


async def test_a_slow_database_does_not_hide_what_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged, is_done = Condition(damaged_rows=1), threading.Event()

    def look_slowly() -> Condition:
        is_done.wait(10)
        return damaged

    monkeypatch.setattr(log_watch, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(log_watch, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(log_watch, "_ask", look_slowly)
    pool = Pool(threads=1, queue=0)
    watch = LogWatch(pool)
    assert await watch.condition() is None
    is_done.set()
    await pool.call(lambda: None)
    is_done.clear()
    assert await watch.condition() == damaged
    is_done.set()
    pool.stop()
