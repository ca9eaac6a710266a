"""PostgreSQL stops, freezes or drops its connections under load."""

import math
import signal
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.environment import Servers
from tests.live.load import Fault, Load, check_fault, check_log, health_answered
from tests.live.server import Database, Databases, LiveServer
from tests.servers import Postgres

PROCESSES = 2
FAULT_SECONDS = 10
VERIFY = "agentgate verify"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of its own, which tests may stop."""
    postgres = Postgres(own=True)
    yield postgres
    postgres.stop()


@pytest.fixture
def server(postgres: Postgres, databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    with LiveServer(databases.on(postgres), servers.folder, processes=PROCESSES) as server:
        yield server


def connections(database: Database, application: str = VERIFY) -> int:
    where = f"application_name = '{application}' AND datname = current_database()"
    return database.count("pg_stat_activity", where)


def check_after(server: LiveServer, load: Load, fault: Fault) -> None:
    check_fault(load, server, fault)
    assert health_answered(load, fault.began + 0.5, fault.began + FAULT_SECONDS) == {503}
    assert health_answered(load, fault.ended + 1, math.inf) == {200}
    assert connections(server.database) == PROCESSES, "a connection was leaked"
    assert server.log_text().count("The database cannot decide") <= 2 * PROCESSES, "an outage is logged once"


@pytest.mark.soak
def test_postgresql_freezes(server: LiveServer, postgres: Postgres) -> None:
    with Load(server) as load:
        began = time.monotonic()
        postgres.send_signal(signal.SIGSTOP)
        time.sleep(FAULT_SECONDS)
        postgres.send_signal(signal.SIGCONT)
        fault = Fault(began, time.monotonic())
        time.sleep(3)
    check_after(server, load, fault)


@pytest.mark.soak
def test_postgresql_is_stopped_and_started(server: LiveServer, postgres: Postgres) -> None:
    with Load(server) as load:
        began = time.monotonic()
        postgres.halt()
        time.sleep(FAULT_SECONDS)
        postgres.start()
        fault = Fault(began, time.monotonic())
        time.sleep(3)
    check_after(server, load, fault)


def kill_connections(database: Database, number: int, wait: Callable[[], None]) -> int:
    """End the stores' connections one by one. Return how many were ended."""
    killed = 0
    with psycopg.connect(database.environment["DATABASE_URL"], autocommit=True) as admin:
        find = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        for _ in range(number):
            for (pid,) in admin.execute(find, [VERIFY]).fetchall():
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])
                killed += 1
                wait()
    return killed


def test_killed_connections_cost_a_batch_each(server: LiveServer) -> None:
    with Load(server) as load:
        killed = kill_connections(server.database, 5, lambda: load.wait_for_more(10))
        load.wait_for_more(50)

    assert killed >= 5
    assert load.statuses().keys() <= {200, 503}
    assert all(answer.says_when for answer in load.with_status(503))
    # Each lost connection fails at most the batch that was under way.
    assert len(load.with_status(503)) <= killed * len(load.by_client)
    assert max(answer.seconds for answer in load.answers) < 2
    assert connections(server.database) == PROCESSES
    check_log(load, server)
