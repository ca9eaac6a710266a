"""The worker sends each event that is logged, whatever is killed meanwhile."""

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.sending import (
    ReceiverProcess,
    WorkerProcess,
    make_webhooks,
    quantile,
    wait_for_all,
    working,
    write_events,
    written,
)
from tests.live.server import Databases, LiveServer
from tests.servers import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.soak
EVENTS, RATE = 10_000, 100
KILL_SECONDS = 4


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[ReceiverProcess]:
    receiver = ReceiverProcess(tmp_path / "received")
    receiver.start()
    yield receiver
    receiver.kill()


def end_of(family: list[psutil.Process]) -> bool:
    return not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_the_two_processes_of_the_worker_outlive_each_other_but_not_their_parent(
    live_store: str, databases: Databases, servers: Servers, tmp_path: Path
) -> None:
    with working(new_database(live_store, databases, servers), tmp_path) as worker:
        time.sleep(8)  # they fork others, too
        _kill_one(worker, "events", other="celery")
        _kill_one(worker, "celery", other="events")
        time.sleep(8)
        family = worker.family()[1:]
        worker.kill()
        wait_until(lambda: end_of(family), lambda: str(family), 60)


def _kill_one(worker: WorkerProcess, queue: str, *, other: str) -> None:
    before = worker.children()
    family = before[queue].children(recursive=True)
    worker.kill(queue)
    wait_until(lambda: end_of(family), seconds=20)
    wait_until(lambda: worker.children().get(queue, before[queue]).pid != before[queue].pid, worker.log.read_text, 20)
    assert worker.children()[other].pid == before[other].pid


def test_each_event_arrives_whatever_is_killed(
    live_store: str, databases: Databases, servers: Servers, tmp_path: Path, receiver: ReceiverProcess
) -> None:
    database = new_database(live_store, databases, servers)
    valkey = None
    with ExitStack() as stack:
        if live_store == "postgresql":
            valkey = Valkey()
            stack.callback(valkey.stop)
            database.environment["REDIS_URL"] = valkey.url
        (organization,) = make_webhooks(database, {"Acme": [receiver.url]})
        server = stack.enter_context(LiveServer(database, tmp_path, processes=1))
        worker = stack.enter_context(working(database, tmp_path))
        writer = write_events(database, tmp_path, organization, EVENTS, RATE)
        kills = _kills(worker, server, receiver, valkey)
        chosen = random.Random(1)
        done: list[str] = []
        while writer.poll() is None:
            time.sleep(KILL_SECONDS)
            name = chosen.choice(sorted(kills))
            kills[name]()
            done.append(name)
        assert set(done) == set(kills)
        wait_for_all(tmp_path, receiver, EVENTS, 900, worker.log.read_text)
        server.stop()
    _check(database.logged_ids(), receiver)
    again = sum(len(times) - 1 for times in receiver.arrivals().values())
    report(f"{live_store}: {EVENTS} events, {len(done)} kills, {again} arrived again")


def report(line: str) -> None:
    """Show a measurement with `pytest -s`."""
    sys.stdout.write(f"{line}\n")


def _kills(
    worker: WorkerProcess, server: LiveServer, receiver: ReceiverProcess, valkey: Valkey | None
) -> dict[str, Callable[[], object]]:
    def again(kill: Callable[[], object], start: Callable[[], object]) -> Callable[[], object]:
        def act() -> None:
            kill()
            time.sleep(1)
            start()

        return act

    kills: dict[str, Callable[[], object]] = {
        "events": lambda: worker.kill("events"),
        "celery": lambda: worker.kill("celery"),
        "worker": again(worker.kill, worker.start),
        "receiver": again(receiver.kill, receiver.start),
        "server": again(lambda: [one.kill() for one in psutil.Process(server.pid).children()], lambda: None),
    }
    if valkey:
        kills["valkey"] = again(valkey.kill, valkey.start)
    return kills


def _check(logged: list[str], receiver: ReceiverProcess) -> None:
    numbers: dict[str, str] = {}
    for _, header, event_id, number in receiver.lines():
        assert header == event_id
        assert numbers.setdefault(header, number) == number
    assert numbers.keys() <= set(logged)
    assert len(set(numbers.values())) == len(numbers)


def test_an_event_is_tried_soon_after_the_act(
    live_store: str, databases: Databases, servers: Servers, tmp_path: Path, receiver: ReceiverProcess
) -> None:
    database, number = new_database(live_store, databases, servers), 1500
    (organization,) = make_webhooks(database, {"Acme": [receiver.url]})
    with LiveServer(database, tmp_path, processes=1), working(database, tmp_path) as worker:
        time.sleep(15)
        write_events(database, tmp_path, organization, number, 50)
        wait_for_all(tmp_path, receiver, number, 120, worker.log.read_text)
    arrivals = receiver.arrivals()
    waits = [min(arrivals[entry_id]) - at for entry_id, at in written(tmp_path).items()]
    p50, p95 = quantile(waits, 0.5), quantile(waits, 0.95)
    report(f"{live_store}: from act to first try p50 {p50:.3f} s, p95 {p95:.3f} s, longest {max(waits):.3f} s")
    assert p50 < 0.5
    assert p95 < 2
    assert all(len(times) == 1 for times in arrivals.values())


@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
def test_two_servers_and_two_workers_send_each_event_once(
    live_store: str, databases: Databases, servers: Servers, tmp_path: Path, receiver: ReceiverProcess
) -> None:
    database, number = new_database(live_store, databases, servers), 2000
    (organization,) = make_webhooks(database, {"Acme": [receiver.url]})
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(LiveServer(database, folder, processes=1))
            worker = stack.enter_context(working(database, folder))
        time.sleep(20)
        write_events(database, tmp_path, organization, number, 100)
        wait_for_all(tmp_path, receiver, number, 120, worker.log.read_text)
    arrivals = receiver.arrivals()
    assert {len(times) for times in arrivals.values()} == {1}
    found = sorted(int(line[3]) for line in receiver.lines())
    assert found == list(range(found[0], found[0] + number))
