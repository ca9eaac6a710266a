"""The sequencer runs beside the server, and alone. No process outlives a server that was killed."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.server import ROOT, Database, Databases, LiveServer, full, manage
from tests.servers import die_with_parent
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
        process = subprocess.Popen(
            [sys.executable, "-m", "agentgate.sequencer"],
            cwd=ROOT,
            env=full(database.environment),
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    manage(database.environment, "shell", "-c", WRITE)
    wait_until(lambda: is_copied(database, 3), log.read_text, 30)

    process.send_signal(stop)

    assert process.wait(10) == 0
    assert "The sequencer is running." in log.read_text()


def test_the_server_starts_a_sequencer_that_ended_again_and_stops_it_at_its_end(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server()
    wait_until(lambda: len(server.sequencers()) == 2, server.log_text, 20)
    first = server.sequencers()
    for process in first:
        process.kill()
    wait_until(lambda: len(set(server.sequencers()) - set(first)) == 2, server.log_text, 15)
    assert "A sequencer ended" in server.log_text()
    entries = server.database.count("audit_entry")
    server.manage("shell", "-c", WRITE)
    wait_until(lambda: is_copied(server.database, entries + 3), server.log_text, 10)

    second = server.sequencers()
    server.end(signal.SIGTERM)
    assert not any(process.is_running() for process in second)


def test_the_process_that_stands_by_takes_over(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    wait_until(lambda: len(server.sequencers()) == 2, server.log_text, 20)
    for number in (1, 2, 3):
        entries = server.database.count("audit_entry")
        server.sequencers()[0].kill()
        server.manage("shell", "-c", WRITE)
        wait_until(lambda n=entries + 3: is_copied(server.database, n), server.log_text, 10)  # type: ignore[misc]
        wait_until(lambda: len(server.sequencers()) == 2, server.log_text, 20)
        assert server.log_text().count("A sequencer ended") == number


def test_the_sequencer_ends_when_its_server_is_killed(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    sequencers = server.sequencers()
    assert sequencers
    server.end(signal.SIGKILL)
    wait_until(lambda: not any(one.is_running() for one in sequencers), server.log_text, 15)


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
