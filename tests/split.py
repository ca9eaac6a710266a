"""A plugin that runs the tests in several processes, forked from the one that has collected them.

Collecting takes seconds, and each process of pytest-xdist would do it again. The tests of a group run in one process,
because they share a server or the rows of their module.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import pytest

from tests.environment import SERVERS, use_own_folder
from tests.servers import die_with_parent

GROUP = pytest.StashKey[str]()
NUMBER = struct.Struct("H")

Group = list[pytest.Item]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, help="number of processes that run the tests")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    groups = _groups(session.items)
    number = min(session.config.getoption("--processes"), len(groups))
    if number < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    queue = _Queue(len(groups))
    workers: dict[Connection, _Worker] = {}
    for place in range(number):
        theirs, ours = Pipe(duplex=False)
        pid = os.fork()
        if pid == 0:
            _become_worker(session, place, ours)
            _run(session, groups, queue)
            return True
        ours.close()
        workers[theirs] = _Worker(pid)
    _report(session, workers)
    return True


def _groups(items: Sequence[pytest.Item]) -> list[Group]:
    """Return the tests of each group, in the order in which groups begin."""
    groups: dict[str, Group] = {}
    for item in items:
        groups.setdefault(item.stash.get(GROUP, str(item.path)), []).append(item)
    return list(groups.values())


class _Queue:
    """The numbers of the groups that no process has begun. A read of two bytes from a pipe is atomic."""

    def __init__(self, length: int) -> None:
        self._reader, writer = os.pipe()
        os.write(writer, b"".join(map(NUMBER.pack, range(length))))
        os.close(writer)

    def __iter__(self) -> Iterator[int]:
        while number := os.read(self._reader, NUMBER.size):
            yield NUMBER.unpack(number)[0]


def _become_worker(session: pytest.Session, place: int, reports: Connection) -> None:
    """Send to the first process what this one would print, and use no server and no file of it."""
    config, plugins = session.config, session.config.pluginmanager
    die_with_parent()
    name = os.environ["PYTEST_XDIST_WORKER"] = f"gw{place}"
    config.workerinput = {"workerid": name}  # type: ignore[attr-defined]  # what plugins look for
    plugins.unregister(name="terminalreporter")
    plugins.register(_Sender(config, reports))
    capture: Any = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    vars(config.stash[SERVERS]).clear()
    use_own_folder(config.stash[SERVERS])


def _run(session: pytest.Session, groups: Sequence[Group], queue: _Queue) -> None:
    item = None
    for following in (item for number in queue for item in groups[number]):
        if item:
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following
    if item:
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


class _Sender:
    def __init__(self, config: pytest.Config, reports: Connection) -> None:
        self._config, self._reports = config, reports

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._reports.send(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self._config.hook
        self._reports.send(hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_sessionfinish(self) -> None:
        self._reports.send(None)


@dataclass
class _Worker:
    pid: int
    test: str = ""
    """The test that began last."""
    finished: int = 0
    has_ended: bool = False

    def take(self, received: Any, config: pytest.Config) -> None:
        if received is None:
            self.has_ended = True
        elif isinstance(received, str):
            self.test = received
        else:
            report = config.hook.pytest_report_from_serializable(config=config, data=received)
            config.hook.pytest_runtest_logreport(report=report)
            self.finished += report.when == "teardown"

    def reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        if not self.has_ended:
            raise RuntimeError(f"A process ended with status {os.waitstatus_to_exitcode(status)} in {self.test}")


def _report(session: pytest.Session, workers: dict[Connection, _Worker]) -> None:
    if terminal := session.config.pluginmanager.getplugin("terminalreporter"):
        terminal.showfspath = False  # results of several files arrive at once
    left = set(workers)
    while left:
        for connection in wait(list(left)):
            worker = workers[connection]  # type: ignore[index]
            try:
                worker.take(connection.recv(), session.config)  # type: ignore[union-attr]
            except EOFError:
                left.remove(connection)  # type: ignore[arg-type]
                worker.reap()
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
    if missing := len(session.items) - sum(worker.finished for worker in workers.values()):
        raise RuntimeError(f"{missing} tests did not run to their end")
