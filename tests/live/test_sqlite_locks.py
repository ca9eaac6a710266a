"""Another process locks the SQLite file under load."""

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.live.load import LONGEST_SECONDS, Fault, Load, check_fault, check_log, health_answered
from tests.live.server import LiveServer

pytestmark = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)


def lock(server: LiveServer, seconds: float) -> Fault:
    """Hold a write transaction for so long."""
    path = server.database.environment["DATABASE_PATH"]
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        time.sleep(seconds)
        other.execute("COMMIT")
        return Fault(began, time.monotonic())


def test_a_short_lock_delays_decisions_and_fails_none(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=1)
    with Load(server) as load:
        lock(server, 3)
        load.wait_for_more(100)
    assert set(load.statuses()) == {200}
    assert 2.5 < max(answer.seconds for answer in load.answers) < 4.5
    check_log(load, server)


@pytest.mark.soak
def test_a_long_lock_is_answered_503_until_it_ends(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=1)
    with Load(server) as load:
        fault = lock(server, 10)
        time.sleep(3)
    check_fault(load, server, fault)
    assert max(answer.seconds for answer in load.health) < LONGEST_SECONDS
    assert health_answered(load, fault.ended + 1, math.inf) == {200}
