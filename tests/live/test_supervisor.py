"""The supervisor replaces processes that end, and obeys signals, while another process does not answer it."""

import signal
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from tests.live.server import LiveServer
from tests.waiting import wait_until

# The supervisor itself uses no database.
pytestmark = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)

ASKED_SECONDS = 1.5  # By then the supervisor has asked the process how it is.
BOUNDED_SECONDS = 40  # Two processes start one after the other.
STOPPED_SECONDS = 10  # A process that does not answer for five seconds of the stop is killed.
SOON_SECONDS = 5  # The supervisor looks twice per second, and the machine may be busy.


@pytest.fixture(scope="module")
def lasting_server(start_for_module: Callable[..., LiveServer]) -> LiveServer:
    return start_for_module(processes=2)


@pytest.fixture
def server(lasting_server: LiveServer) -> LiveServer:
    return lasting_server.start_unless_running()


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


def test_a_restart_replaces_all_processes_also_one_that_hangs(server: LiveServer, frozen: psutil.Process) -> None:
    before = set(server.workers())
    psutil.Process(server.pid).send_signal(signal.SIGHUP)

    def is_replaced() -> bool:
        workers = set(server.workers())
        return len(workers) == 2 and not workers & before

    wait_until(is_replaced, server.log_text, BOUNDED_SECONDS)
    server.wait_until_healthy()


def test_a_stop_waits_only_briefly_for_a_process_that_does_not_answer(
    server: LiveServer, frozen: psutil.Process
) -> None:
    (other,) = set(server.workers()) - {frozen}
    supervisor = psutil.Process(server.pid)
    supervisor.terminate()
    wait_until(lambda: has_ended(other), server.log_text, SOON_SECONDS)
    wait_until(lambda: has_ended(supervisor), server.log_text, STOPPED_SECONDS)
    assert has_ended(frozen)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
