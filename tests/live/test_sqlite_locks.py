"""Another process locks the SQLite file under load."""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.live.gate import Gate
from tests.live.load import LONGEST_SECONDS, Fault, Load, check_fault, check_log, health_answered
from tests.live.metrics import Scraped
from tests.live.server import LiveServer
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)


@contextmanager
def locked(server: LiveServer) -> Iterator[None]:
    """Hold a write transaction."""
    path = server.database.environment["DATABASE_PATH"]
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


def lock(server: LiveServer, seconds: float) -> Fault:
    """Hold a write transaction for so long."""
    with locked(server):
        began = time.monotonic()
        time.sleep(seconds)
    return Fault(began, time.monotonic())


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., LiveServer]) -> LiveServer:
    return start_for_module(processes=1)


def test_a_short_lock_delays_decisions_and_fails_none(server: LiveServer) -> None:
    with Load(server) as load:
        lock(server, 3)
        load.wait_for_more(100)
    assert set(load.statuses()) == {200}
    assert 2.5 < max(answer.seconds for answer in load.answers) < 4.5
    check_log(load, server)


def test_the_metrics_show_the_queue_during_a_lock(server: LiveServer) -> None:
    gate = Gate(server.url)
    token = gate.tokens(gate.agent(gate.developer()), gate.person())["accessToken"]

    def queue_length() -> float:
        return Scraped(server).value("agentgate_queue_length")

    with ThreadPoolExecutor(8) as pool:
        with locked(server):
            answers = [pool.submit(gate.verify, token) for _ in range(8)]
            wait_until(lambda: queue_length() > 0, seconds=4)
        assert all(answer.result()["allowed"] for answer in answers)
    wait_until(lambda: queue_length() == 0, seconds=4)


@pytest.mark.soak
def test_a_long_lock_is_answered_503_until_it_ends(server: LiveServer) -> None:
    with Load(server) as load:
        fault = lock(server, 10)
        time.sleep(3)
    check_fault(load, server, fault)
    assert max(answer.seconds for answer in load.health) < LONGEST_SECONDS
    assert health_answered(load, fault.ended + 1, math.inf) == {200}
