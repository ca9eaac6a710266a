"""The supervisor replaces processes that end, and obeys signals, while another process does not answer it."""

import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.live.server import LiveServer
from tests.waiting import wait_until

ASKED_SECONDS = 1.5  # By then the supervisor has asked the process how it is.
BOUNDED_SECONDS = 40  # Two processes start one after the other, and one that hangs is killed after three seconds.
SOON_SECONDS = 5  # The supervisor looks twice per second, and the machine may be busy.


@pytest.fixture
def server(start_server: Callable[..., LiveServer]) -> LiveServer:
    return start_server(processes=2)


@pytest.fixture
def frozen(server: LiveServer) -> Iterator[psutil.Process]:
    """One of the two processes. It cannot answer the question that it was just asked."""
    process = server.workers()[0]
    process.suspend()
    time.sleep(ASKED_SECONDS)
    yield process
    if process.is_running():
        process.resume()


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def has_replaced(server: LiveServer, ended: psutil.Process) -> bool:
    workers = server.workers()
    return ended not in workers and len(workers) == 2


def test_a_process_that_ends_before_it_answers_is_replaced_at_once(server: LiveServer, frozen: psutil.Process) -> None:
    frozen.kill()
    wait_until(lambda: has_replaced(server, frozen), server.log_text, SOON_SECONDS)


def test_a_process_is_replaced_while_another_does_not_answer(server: LiveServer, frozen: psutil.Process) -> None:
    (other,) = set(server.workers()) - {frozen}
    other.kill()
    wait_until(lambda: has_replaced(server, other), server.log_text, SOON_SECONDS)
    assert frozen.is_running()


def test_a_stop_begins_at_once_while_a_process_does_not_answer(server: LiveServer, frozen: psutil.Process) -> None:
    (other,) = set(server.workers()) - {frozen}
    psutil.Process(server.pid).terminate()
    wait_until(lambda: has_ended(other), server.log_text, SOON_SECONDS)
    frozen.resume()
    wait_until(lambda: has_ended(frozen), server.log_text, SOON_SECONDS)


class TestRestart:
    """SIGHUP replaces all processes, also one that hangs."""

    @pytest.fixture
    def server(self, start_server: Callable[..., LiveServer]) -> LiveServer:
        return start_server(processes=2, DJANGO_SETTINGS_MODULE="tests.live.impatient_settings")

    def test_a_process_that_hangs_is_replaced_too(self, server: LiveServer, frozen: psutil.Process) -> None:
        before = set(server.workers())
        psutil.Process(server.pid).send_signal(signal.SIGHUP)

        def is_replaced() -> bool:
            workers = set(server.workers())
            return len(workers) == 2 and not workers & before

        wait_until(is_replaced, server.log_text, BOUNDED_SECONDS)
        server.wait_until_healthy()

    def test_a_stop_ends_it(self, server: LiveServer, frozen: psutil.Process) -> None:
        supervisor = psutil.Process(server.pid)
        supervisor.send_signal(signal.SIGHUP)
        wait_until(lambda: len(server.workers()) == 3, server.log_text)
        family = server.workers()
        supervisor.terminate()

        wait_until(lambda: has_ended(supervisor), server.log_text, BOUNDED_SECONDS)
        assert all(has_ended(process) for process in family)
