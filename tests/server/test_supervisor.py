"""Server processes that hang. `tests/live/test_supervisor.py` has those that end."""

import errno
import multiprocessing
import os
import select
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from uvicorn import Config
from uvicorn.supervisors.multiprocess import Process

from server import forking
from server import supervisor as module
from server.forking import Sequencer
from server.supervisor import Supervisor


class Hanging(Process):
    """A process that neither answers nor stops."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, [])
        self.process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))

    def start(self) -> None:
        super().start()
        assert self.pid
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)  # until then, SIGTERM would end it


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the tests' own handlers stay
    supervisor = Supervisor(Config("unused:application"), [])
    process = Hanging(supervisor.config)
    process.start()
    supervisor.processes = [process]
    yield supervisor
    process.process.kill()


def test_a_process_that_does_not_answer_for_long_is_replaced(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNANSWERED", 3)
    replaced: list[int] = []
    monkeypatch.setattr(supervisor, "_replace", replaced.append)
    for _ in range(3):
        supervisor.keep_subprocess_alive()
    assert replaced == []
    supervisor.keep_subprocess_alive()
    assert replaced == [0]


def test_an_answer_is_followed_by_another_question(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNANSWERED", 1)
    (process,) = supervisor.processes
    for _ in range(3):
        supervisor.keep_subprocess_alive()
        assert process.child_conn.recv() == b"ping"
        process.child_conn.send(True)
    assert supervisor.processes == [process]


def test_a_process_that_does_not_stop_is_killed(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KILL_SECONDS", 0.2)
    (process,) = supervisor.processes
    supervisor.terminate_all()
    supervisor.join_all()
    assert process.exitcode == -signal.SIGKILL


def test_so_is_at_once_one_that_does_not_answer_either(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    (process,) = supervisor.processes
    supervisor.terminate_all()
    started = time.monotonic()
    supervisor.join_all()
    assert process.exitcode == -signal.SIGKILL
    assert time.monotonic() - started < module.KILL_SECONDS / 4


def test_one_that_answers_has_time_to_stop(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNANSWERED_AT_STOP", 1)
    (process,) = supervisor.processes
    supervisor.terminate_all()
    for _ in range(3):
        supervisor.keep_subprocess_alive()
        assert process.child_conn.recv() == b"ping"
        process.child_conn.send(True)
    assert process.process.is_alive()


def test_what_a_process_did_not_answer_before_the_stop_does_not_count(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNANSWERED_AT_STOP", 1)
    (process,) = supervisor.processes
    for _ in range(3):
        supervisor.keep_subprocess_alive()
    supervisor.terminate_all()
    supervisor.keep_subprocess_alive()
    assert process.process.is_alive()


def test_a_stop_closes_the_sockets(supervisor: Supervisor) -> None:
    """Otherwise clients could still connect after the last process has stopped listening, and nothing would answer."""
    with socket.socket() as listening:
        supervisor.sockets = [listening]
        supervisor.terminate_all()
        assert listening.fileno() == -1


def test_from_the_stop_on_clients_are_answered_or_refused_but_not_reset(supervisor: Supervisor) -> None:
    """No client may connect after the last `accept` of a process and before it closes the socket."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    of_process = listening.dup()
    supervisor.sockets = [listening]
    with socket.create_connection(address) as early, socket.socket() as late:
        supervisor.terminate_all()
        late.settimeout(0)
        assert late.connect_ex(address) == errno.EINPROGRESS
        accepted, _ = of_process.accept()
        with accepted:
            accepted.sendall(b"answer")
            assert early.recv(6) == b"answer"
            of_process.settimeout(0)
            with pytest.raises(BlockingIOError):
                of_process.accept()
            of_process.close()
            assert select.select([], [late], [], 10)[1]
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_a_system_without_filters_of_sockets_stops_too(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: socket.socket) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(module, "admit_none", fail)
    with socket.socket() as listening:
        supervisor.sockets = [listening]
        supervisor.terminate_all()
        assert listening.fileno() == -1
    assert supervisor.processes == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


class TestWithoutMemory:
    """A process that cannot be started is tried again, and ends nothing else."""

    @pytest.fixture
    def attempts(self, monkeypatch: pytest.MonkeyPatch) -> list[None]:
        attempts: list[None] = []

        def fail(*_: object) -> Process:
            attempts.append(None)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        monkeypatch.setattr(module, "ForkedProcess", fail)
        return attempts

    def test_one_that_ended_is_replaced_later(self, supervisor: Supervisor, attempts: list[None]) -> None:
        (process,) = supervisor.processes
        process.process.kill()
        process.process.join()
        for _ in range(2):
            supervisor.keep_subprocess_alive()
        assert len(attempts) == 2
        assert supervisor.processes == [process]

    def test_a_restart_keeps_the_rest(self, supervisor: Supervisor, attempts: list[None]) -> None:
        (process,) = supervisor.processes
        supervisor.restart_all()
        assert (supervisor.processes, len(attempts)) == ([process], 1)
        assert process.process.is_alive()

    def test_one_more_is_not_counted(self, supervisor: Supervisor, attempts: list[None]) -> None:
        supervisor.handle_ttin()
        assert (supervisor.processes_num, len(supervisor.processes), len(attempts)) == (1, 1, 1)

    def test_the_sequencer_is_started_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: object) -> None:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

        started: list[object] = []
        sequencer = Sequencer([])
        sequencer.keep_alive()
        monkeypatch.setattr(forking, "start", fail)
        sequencer.start()
        monkeypatch.setattr(forking, "start", started.append)
        sequencer.keep_alive()
        assert len(started) == 1


def test_an_unexpected_error_leaves_no_process_behind(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("unexpected")

    (process,) = supervisor.processes
    monkeypatch.setattr(supervisor, "init_processes", lambda: None)
    monkeypatch.setattr(supervisor, "keep_subprocess_alive", fail)
    with pytest.raises(RuntimeError, match="unexpected"):
        supervisor.run()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_nothing_is_started_during_a_stop(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends all processes of a terminal, also those that the supervisor would replace."""
    started: list[object] = []
    monkeypatch.setattr(supervisor._sequencer, "keep_alive", lambda: started.append("sequencer"))
    monkeypatch.setattr(module, "ForkedProcess", lambda *_: started.append("process"))
    supervisor.processes[0].process.kill()
    supervisor.processes[0].process.join()
    supervisor.should_exit.set()
    supervisor.keep_subprocess_alive()
    assert started == []


class Answering(Hanging):
    """A successor that serves at once."""

    def wait_until_ready(self, *_: object) -> bool:
        return True


class TestReplacing:
    @pytest.fixture
    def successor(self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
        successor = Answering(supervisor.config)
        monkeypatch.setattr(module, "ForkedProcess", lambda *_: successor)
        yield successor
        successor.process.kill()

    def test_a_process_that_does_not_stop_is_killed(
        self, supervisor: Supervisor, successor: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "KILL_SECONDS", 0.2)
        (process,) = supervisor.processes
        supervisor.restart_all()
        time.sleep(0.3)
        supervisor.keep_subprocess_alive()
        assert process.exitcode == -signal.SIGKILL
        assert supervisor.processes == [successor]

    def test_so_is_one_too_many(self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "KILL_SECONDS", 0.2)
        (process,) = supervisor.processes
        supervisor.processes_num = 2
        supervisor.handle_ttou()
        time.sleep(0.3)
        supervisor.keep_subprocess_alive()
        assert process.exitcode == -signal.SIGKILL
        assert supervisor.processes_num == 1

    def test_while_one_does_not_stop_another_that_ends_is_replaced(
        self, supervisor: Supervisor, successor: Hanging
    ) -> None:
        (hanging,) = supervisor.processes
        ended = Hanging(supervisor.config)
        ended.start()
        supervisor.processes = [ended, hanging]
        supervisor.processes_num = 2
        supervisor.handle_ttou()
        ended.process.kill()
        ended.process.join()
        supervisor.keep_subprocess_alive()
        assert supervisor.processes == [successor]
        assert hanging.process.is_alive()

    def test_while_a_successor_starts_another_that_ends_is_replaced(
        self, supervisor: Supervisor, successor: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (process,) = supervisor.processes

        def not_yet(_: float) -> bool:
            process.process.kill()
            process.process.join()
            return bool(replaced)

        replaced: list[int] = []
        monkeypatch.setattr(supervisor, "_replace", replaced.append)
        monkeypatch.setattr(successor, "wait_until_ready", not_yet)
        supervisor.restart_all()
        assert replaced == [0]
        assert supervisor.processes == [successor]

    def test_the_last_process_stays(self, supervisor: Supervisor) -> None:
        supervisor.handle_ttou()
        assert len(supervisor.processes) == 1

    def test_a_successor_that_does_not_serve_ends_the_restart(
        self, supervisor: Supervisor, successor: Hanging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(successor, "wait_until_ready", time.sleep)
        monkeypatch.setattr(supervisor.config, "timeout_worker_healthcheck", 0.2)
        before = list(supervisor.processes)
        supervisor.restart_all()
        assert supervisor.processes == before
        assert successor.exitcode == -signal.SIGKILL

    @pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
    def test_a_stop_ends_the_wait_for_a_successor(
        self, supervisor: Supervisor, successor: Hanging, monkeypatch: pytest.MonkeyPatch, stop: int
    ) -> None:
        def not_yet(_: float) -> bool:
            supervisor.signal_queue.append(stop)
            return False

        monkeypatch.setattr(successor, "wait_until_ready", not_yet)
        before = list(supervisor.processes)
        supervisor.restart_all()
        assert supervisor.processes == [*before, successor], "the stop waits for both"
        assert supervisor.should_exit.is_set()
