"""The processes of a server in one event loop: one decides, and the others forward their requests to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from core.messages import Reply, Request
from decisions.requests import Reason
from server.front import decider
from server.front.decider import Done
from server.front.forwarding import HEADS, MAX_HEAD, MAX_SILENT_TICKS, Forwarding

REPLY = Reply(
    200, (("Content-Type", "application/json"), ("A", Reason.POLICY_DENIED)), b"{}", "X-Request-Id: req_1\r\n"
)
SENT = Reply(200, (), b"{}", "X-Request-Id: req_1\r\nContent-Type: application/json\r\nA: policy_denied\r\n")
VERIFY = Request("POST", "/api/v1/tokens/verify", "", {"host": "a", "name": "\xe9"}, b"{}", "192.0.2.1", memo={})


class Process:
    """A process of the server. It answers when a test calls what it finds in `asked`, or leaves all to Django."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[Request, Done]] = []
        self.lost: list[Request] = []
        self.is_cold = False
        self.is_broken = False
        self.forwarding = Forwarding(folder, self._answer, lambda request, done: self.lost.append(request))

    def forward(self, request: Request = VERIFY) -> "Sent":
        sent = Sent()
        sent.is_forwarded = self.forwarding.forward(request, sent.replies.append, sent.answered_here)
        return sent

    async def tick(self) -> None:
        self.forwarding.tick()
        await settle()

    def _answer(self, request: Request, done: Done) -> bool:
        if self.is_broken:
            raise RuntimeError
        if not self.is_cold:
            self.asked.append((request, done))
        return not self.is_cold


class Sent:
    """What became of a request."""

    def __init__(self) -> None:
        self.is_forwarded = False
        self.replies: list[Reply] = []
        self.number_here = 0

    def answered_here(self) -> None:
        self.number_here += 1


async def settle() -> None:
    """Let the loop handle what is on its way between the processes."""
    for _ in range(20):
        await asyncio.sleep(0.001)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[[], Process]]:
    """Return a function that makes a process. All are stopped in the end."""
    made: list[Process] = []

    def make() -> Process:
        made.append(Process(tmp_path))
        return made[-1]

    yield make
    for process in made[::-1]:
        await process.forwarding.stop()
    await settle()


@pytest.fixture
async def pair(make: Callable[[], Process]) -> tuple[Process, Process]:
    """Return the process that decides, and one that forwards."""
    first, second = make(), make()
    await first.tick()
    await second.tick()
    return first, second


class TestAnswers:
    async def test_the_first_process_decides_and_the_second_gets_its_reply(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        sent = second.forward()
        await settle()
        ((request, done),) = first.asked
        assert request == VERIFY._replace(memo=request.memo)
        done(REPLY)
        await settle()
        assert sent.is_forwarded
        assert sent.replies == [SENT]
        assert not first.forward().is_forwarded

    async def test_replies_may_come_in_another_order(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        sent = [second.forward(VERIFY._replace(body=b"%d" % number)) for number in range(3)]
        await settle()
        for request, done in first.asked[::-1]:
            done(REPLY._replace(body=request.body))
        await settle()
        assert [each.replies[0].body for each in sent] == [b"0", b"1", b"2"]

    async def test_what_django_must_answer_is_answered_where_it_arrived(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        first.is_cold = True
        sent = second.forward()
        await settle()
        assert (sent.number_here, sent.replies) == (1, [])

    async def test_an_unsafe_reply_is_not_sent(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        sent = second.forward()
        await settle()
        first.asked[0][1](REPLY._replace(headers=[("A", "b\r\nC: d")]))
        await settle()
        assert (sent.number_here, sent.replies) == (1, [])

    async def test_an_error_is_answered_where_the_request_arrived_and_ends_nothing_else(
        self, pair: tuple[Process, Process]
    ) -> None:
        first, second = pair
        other = second.forward()
        await settle()
        first.is_broken = True
        sent = second.forward()
        await settle()
        first.asked[0][1](REPLY)
        await settle()
        assert (sent.number_here, other.replies) == (1, [SENT])

    async def test_large_messages_arrive_in_pieces(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        bodies = [bytes([number]) * 300_000 for number in range(4)]
        for body in bodies:
            second.forward(VERIFY._replace(body=body))
        await settle()
        assert [request.body for request, _ in first.asked] == bodies


class TestHeads:
    async def test_requests_with_a_head_share_its_memo_and_those_of_others_do_not(
        self, pair: tuple[Process, Process]
    ) -> None:
        first, second = pair
        others = VERIFY._replace(headers={"host": "b"}, memo={})
        for request in (VERIFY, others, VERIFY):
            second.forward(request)
        await settle()
        one, other, again = (request for request, _ in first.asked)
        assert (one.headers, other.headers) == (VERIFY.headers, others.headers)
        assert one.memo is again.memo
        assert one.memo is not other.memo

    async def test_a_forgotten_head_is_sent_again(self, pair: tuple[Process, Process], settings: Any) -> None:
        settings.MAX_FORWARDED = 2 * HEADS
        first, second = pair
        heads = [VERIFY._replace(headers={"host": str(number)}, memo={}) for number in range(HEADS + 1)]
        for request in [*heads, *heads[:2]]:
            second.forward(request)
        await settle()
        assert [request.headers for request, _ in first.asked] == [each.headers for each in [*heads, *heads[:2]]]

    async def test_a_new_decider_gets_the_heads_again(self, make: Callable[[], Process]) -> None:
        first, second, third = make(), make(), make()
        for process in (first, second, third):
            await process.tick()
        third.forward()
        await settle()
        first.asked[0][1](REPLY)
        await settle()
        await first.forwarding.stop()
        await second.tick()
        await third.tick()
        assert third.forward().is_forwarded
        await settle()
        assert second.asked[0][0].headers == VERIFY.headers

    async def test_a_large_head_or_one_without_memo_is_not_forwarded(self, pair: tuple[Process, Process]) -> None:
        large = VERIFY._replace(headers={"a": "x" * MAX_HEAD}, memo={})
        for request in (large, VERIFY._replace(memo=None)):
            assert not pair[1].forward(request).is_forwarded


class TestEnds:
    async def test_no_more_is_forwarded_than_the_bound(self, pair: tuple[Process, Process], settings: Any) -> None:
        settings.MAX_FORWARDED = 2
        first, second = pair
        assert [second.forward().is_forwarded for _ in range(3)] == [True, True, False]
        await settle()
        first.asked[0][1](REPLY)
        await settle()
        assert second.forward().is_forwarded

    async def test_a_decider_that_stops_answers_first_and_another_takes_over(
        self, pair: tuple[Process, Process]
    ) -> None:
        first, second = pair
        sent = second.forward()
        await settle()
        stop = asyncio.create_task(first.forwarding.stop())
        await settle()
        assert not second.forward().is_forwarded
        await second.tick()
        first.asked[0][1](REPLY)
        await stop
        await second.tick()
        assert (sent.replies, second.lost) == ([SENT], [])
        await first.tick()
        assert first.forward().is_forwarded

    async def test_a_decider_that_stops_waits_for_no_hanging_process(
        self, pair: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decider, "LEAVE_SECONDS", 0.05)
        first, second = pair
        second.forward()
        await settle()
        await first.forwarding.stop()
        await settle()
        assert second.lost == [VERIFY]

    async def test_after_the_decider_was_lost_outcomes_are_unknown_and_another_takes_over(
        self, pair: tuple[Process, Process]
    ) -> None:
        first, second = pair
        sent = second.forward()
        await settle()
        kill(first)
        await settle()
        assert (second.lost, sent.replies, sent.number_here) == ([VERIFY], [], 0)
        assert not second.forward().is_forwarded
        await second.tick()
        assert second.forwarding._decider.is_in_office

    async def test_a_late_reply_to_a_lost_process_is_dropped(self, pair: tuple[Process, Process]) -> None:
        first, second = pair
        second.forward()
        await settle()
        await second.forwarding.stop()
        await settle()
        first.asked[0][1](REPLY)

    async def test_a_silent_decider_is_given_up(self, pair: tuple[Process, Process], monkeypatch: Any) -> None:
        first, second = pair
        for _ in range(2 * MAX_SILENT_TICKS):
            await second.tick()
        assert second.forward().is_forwarded
        monkeypatch.setattr(decider.Follower, "received", lambda self, message: None)
        for _ in range(MAX_SILENT_TICKS + 1):
            await second.tick()
        assert second.lost == [VERIFY]
        assert not first.asked[1:]

    async def test_nothing_is_forwarded_before_the_decider_has_answered(
        self, make: Callable[[], Process], monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(decider.Follower, "send", lambda self, message: None)
        first, second = make(), make()
        await first.tick()
        await second.tick()
        assert not second.forward().is_forwarded
        for _ in range(MAX_SILENT_TICKS + 1):
            await second.tick()
        assert second.forwarding._link is None


class TestFolder:
    async def test_each_decides_for_itself_where_no_socket_can_be(self, tmp_path: Path, caplog: Any) -> None:
        folder = tmp_path / ("x" * 100)
        folder.mkdir()
        first, second = Process(folder), Process(folder)
        for process in (first, second):
            await process.tick()
            await process.tick()
            assert not process.forward().is_forwarded
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await first.forwarding.stop()

    async def test_the_socket_of_a_killed_process_is_replaced(
        self, make: Callable[[], Process], tmp_path: Path
    ) -> None:
        (tmp_path / decider.SOCKET).touch()
        first, second = make(), make()
        await first.tick()
        await second.tick()
        assert second.forward().is_forwarded


def kill(process: Process) -> None:
    """End what the system ends with a process: its socket, its connections and its lock."""
    own = process.forwarding._decider
    assert own._server is not None
    assert own._lock is not None
    own._server.close()
    for follower in own._followers:
        follower.transport.abort()
    os.close(own._lock)
    own._lock = None
