"""The sequencer runs beside the server, and alone. No process outlives a server that was killed."""

import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests import preloaded
from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.server import Database, Databases, LiveServer, full, manage
from tests.waiting import wait_until

WRITE = "from tests.audit.journals import write_row; write_row(3)"


def is_copied(database: Database, entries: int) -> bool:
    return database.count("audit_entry") == entries and database.count("audit_journal") == 0


@pytest.fixture(scope="module")
def lasting_server(start_for_module: Callable[..., LiveServer]) -> LiveServer:
    return start_for_module(processes=2)


@pytest.fixture
def server(lasting_server: LiveServer) -> LiveServer:
    return lasting_server.start_unless_running()


def running(server: LiveServer, other_than: psutil.Process | None = None) -> psutil.Process:
    """Return the sequencer, once one is running other than this one."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        sequencer = server.sequencer()
        if sequencer and sequencer != other_than:
            found.append(sequencer)
        return bool(found)

    wait_until(is_there, server.log_text, 20)
    return found[0]


def write_and_wait(server: LiveServer) -> None:
    entries = server.database.count("audit_entry")
    server.manage("shell", "-c", WRITE)
    wait_until(lambda: is_copied(server.database, entries + 3), server.log_text, 10)


def test_the_server_copies_decisions_into_the_log_also_after_a_kill(server: LiveServer) -> None:
    write_and_wait(server)
    assert "sequencer" not in server.log_text()
    sequencer = running(server)
    sequencer.kill()
    running(server, other_than=sequencer)
    write_and_wait(server)
    assert server.log_text().count("The sequencer ended with status -9") == 1


def test_the_sequencer_runs_alone_and_stops_on_a_signal(
    live_store: str, databases: Databases, servers: Servers, tmp_path: Path
) -> None:
    database = new_database(live_store, databases, servers)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = preloaded.start(["-m", "server.sequencer"], full(database.environment), output, output)
    manage(database.environment, "shell", "-c", WRITE)
    wait_until(lambda: is_copied(database, 3), log.read_text, 30)

    process.terminate()

    assert process.wait(10) == 0
    assert "The sequencer is running." in log.read_text()


# Processes end in the same way on both databases.


@pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)
def test_the_server_stops_the_sequencer_at_its_end(server: LiveServer) -> None:
    sequencer = running(server)
    server.end(signal.SIGTERM)
    assert not sequencer.is_running()


@pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)
def test_no_process_outlives_a_server_that_is_killed_while_one_of_them_is_starting(server: LiveServer) -> None:
    sequencer, before = running(server), set(server.workers())
    server.kill_a_worker()
    wait_until(lambda: bool(set(server.workers()) - before), server.log_text, 30)
    family = [sequencer, *server.workers()]
    server.end(signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in family), server.log_text, 30)


@pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)
def test_a_sequencer_that_outlives_the_server_keeps_no_client_waiting(server: LiveServer) -> None:
    sequencer, workers = running(server), server.workers()
    sequencer.suspend()
    try:
        server.end(signal.SIGKILL)
        for worker in workers:
            worker.kill()
        wait_until(lambda: not any(worker.is_running() for worker in workers), server.log_text, 15)
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
    finally:
        sequencer.resume()
