"""The processes of the worker: which there are, and that each is started again and none is left behind."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from server import pair
from server.pair import supervise
from server.worker import commands_for
from tests.shared import cases
from tests.waiting import wait_until

SLEEP = ["sleep", "60"]


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_there_are_two_processes_and_only_the_first_has_beat_and_the_arguments() -> None:
    main, events = commands_for(["--concurrency", "3"], has_redis=True)
    assert (option(main, "--queues"), option(events, "--queues")) == ("celery", "events")
    assert (option(main, "--concurrency"), option(events, "--concurrency")) == ("3", "2")
    assert "--beat" in main
    assert "--beat" not in events
    assert option(events, "--pool") == "threads"
    assert "--pool" not in main
    assert option(commands_for([], has_redis=False)[0], "--pool") == "threads"


@cases(
    ("arguments", "queue", "has_beat"),
    [
        (["--queues", "celery"], "celery", True),
        (["--queues=events"], "--queues=events", False),
        (["-Q", "events"], "events", False),
    ],
)
def test_one_of_them_can_run_alone(arguments: list[str], queue: str, has_beat: bool) -> None:
    (command,) = commands_for(arguments, has_redis=True)
    assert command[-1] == queue
    assert ("--beat" in command) is has_beat
    assert ("threads" in command) is not has_beat


@contextmanager
def running(*commands: list[str]) -> Iterator[list[int]]:
    """Supervise processes that become these commands, and yield the statuses with which that ends."""
    stopped, ended = threading.Event(), []
    works = [partial(os.execvp, command[0], command) for command in commands]
    thread = threading.Thread(target=lambda: ended.append(supervise(works, stopped)))
    thread.start()
    try:
        yield ended
    finally:
        stopped.set()
        thread.join(10)
        assert not children()


def children() -> dict[int, psutil.Process]:
    found = psutil.Process().children(recursive=True)
    return {one.pid: one for one in found if "sleep" in one.name() and one.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pair, "MIN_SECONDS", 0.0)


def test_a_process_that_ends_is_started_again_and_what_it_forked_is_killed() -> None:
    forks = ["sh", "-c", "sleep 60 & sleep 61"]
    with running(forks, SLEEP):
        wait_until(lambda: len(children()) == 3)
        before = children()
        shell = next(one for one in psutil.Process().children() if one.name() == "sh")
        shell.kill()
        wait_until(lambda: len(children().keys() - before.keys()) == 2)
        assert len(children()) == 3


def test_wrong_arguments_end_both() -> None:
    with running(["sh", "-c", "exit 2"], SLEEP) as ended:
        wait_until(lambda: ended == [2])
        assert not children()


def test_what_does_not_stop_in_time_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pair, "STOP_SECONDS", 0.1)
    ready = tmp_path / "ready"
    with running(["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 60; done"]):
        wait_until(ready.exists)
