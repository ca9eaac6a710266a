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


def test_the_server_copies_decisions_into_the_log(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2)
    entries = server.database.count("audit_entry")
    for number in (1, 2):
        server.manage("shell", "-c", WRITE)
        wait_until(lambda n=number: is_copied(server.database, entries + 3 * n), server.log_text, 10)  # type: ignore[misc]
    assert "sequencer" not in server.log_text()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_sequencer_runs_alone_and_stops_on_a_signal(
    stop: signal.Signals, live_store: str, databases: Databases, servers: Servers, tmp_path: Path
) -> None:
    database = new_database(live_store, databases, servers)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = preloaded.start(["-m", "server.sequencer"], full(database.environment), output, output)
    manage(database.environment, "shell", "-c", WRITE)
    wait_until(lambda: is_copied(database, 3), log.read_text, 30)

    process.send_signal(stop)

    assert process.wait(10) == 0
    assert "The sequencer is running." in log.read_text()


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


def test_a_sequencer_that_was_killed_has_a_successor(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    sequencer = running(server)
    for number in (1, 2, 3):
        sequencer.kill()
        sequencer = running(server, other_than=sequencer)
        write_and_wait(server)
        assert server.log_text().count("The sequencer ended with status -9") == number


def test_the_server_stops_the_sequencer_at_its_end(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    sequencer = running(server)
    server.end(signal.SIGTERM)
    assert not sequencer.is_running()


def test_the_sequencer_ends_when_its_server_is_killed(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    sequencer = running(server)
    server.end(signal.SIGKILL)
    wait_until(lambda: not sequencer.is_running(), server.log_text, 15)


def test_a_sequencer_that_outlives_the_server_keeps_no_client_waiting(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=1)
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


def test_a_process_that_was_still_starting_ends_when_its_server_is_killed(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(processes=2)
    before = set(server.workers())
    server.kill_a_worker()
    wait_until(lambda: bool(set(server.workers()) - before), server.log_text, 30)
    workers = server.workers()
    server.end(signal.SIGKILL)
    wait_until(lambda: not any(worker.is_running() for worker in workers), server.log_text, 30)
