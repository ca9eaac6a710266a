"""The batcher in the test's event loop, on a store that tests hold, fail and release."""

import asyncio
from collections.abc import Awaitable, Sequence
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import OutcomeUnknown, Unavailable
from core.timeouts import DECISION_SECONDS
from decisions import batcher as batcher_module
from decisions import turns
from decisions.batcher import BUSY, DOWN, LATE, MIN_BESIDE, Batcher
from decisions.conversation import TooManyStarts
from decisions.questions import Question
from decisions.requests import Decision, VerifyRequest
from decisions.stores.base import Committing, StoreUnavailable, ignore
from decisions.turns import MAX_BATCH
from tests.world import ANONYMOUS

LIMIT = 1000
LOST = StoreUnavailable("connection", "server closed the connection\nunexpectedly")

Answer = asyncio.Future[list[Decision]]


class FakeStore:
    """Decides at once, or one batch per `release` while it is held. Batches with a question in `failures` fail."""

    reads_beside_commits = False

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.pings = self.writes = 0
        self.failures: dict[str, Exception] = {}
        self.error: Exception | None = None
        self.most = LIMIT
        self.is_closed = False
        self._released: asyncio.Semaphore | None = None
        self._commits: dict[str, asyncio.Event] = {}

    def hold(self) -> None:
        self._released = asyncio.Semaphore(0)

    def release(self) -> None:
        assert self._released
        self._released.release()

    def hold_commit(self, name: str) -> asyncio.Event:
        """Return the event that lets the batch commit whose first question has this name."""
        self.reads_beside_commits = True
        return self._commits.setdefault(name, asyncio.Event())

    async def decide(
        self, questions: Sequence[Question], seconds: float = inf, committing: Committing = ignore
    ) -> list[Decision]:
        questions = questions[: self.most]
        names = [question.request.token for question in questions]
        self.batches.append(names)
        if names[0] in self._commits:
            committing(len(names))
            await self._commits[names[0]].wait()
        await self._work(*(self.failures[name] for name in names if name in self.failures))
        return [Decision(allowed=True, token_id=name) for name in names]

    async def ping(self, *, writes: bool = True) -> None:
        self.writes += writes
        self.pings += 1
        await self._work()

    async def close(self) -> None:
        self.is_closed = True

    async def _work(self, *failures: Exception) -> None:
        await (self._released.acquire() if self._released else asyncio.sleep(0))
        for failure in (*failures, self.error):
            if failure is not None:
                raise failure


class Clock:
    """The time of the batcher, which tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0.01)  # a tick


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def batcher(store: FakeStore) -> Batcher:
    return Batcher(store, LIMIT)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(batcher_module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(batcher_module, "TICK_SECONDS", 0.001)
    return clock


def ask(batcher: Batcher, *names: str) -> Answer:
    requests = [VerifyRequest(token=name, required_scopes=(), actor=ANONYMOUS) for name in names]
    return batcher.submit([Question(request, None, None) for request in requests])


def names(prefix: str, number: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(number)]


async def decided(answer: Answer) -> list[str | None]:
    return [decision.token_id for decision in await asyncio.wait_for(answer, 5)]


async def begin(batcher: Batcher, store: FakeStore, *asked: str) -> Answer:
    """Hold the store, and let it begin a batch."""
    store.hold()
    begun = len(store.batches)
    answer = ask(batcher, *asked)
    while len(store.batches) == begun:
        await asyncio.sleep(0)
    return answer


async def fails(answer: Awaitable[object], detail: str) -> bool:
    with pytest.raises(Unavailable) as refused:
        await answer
    assert refused.value.status == 503
    assert refused.value.code == "unavailable"
    assert refused.value.retry_after
    return refused.value.detail == detail


async def is_unknown(answer: Awaitable[object]) -> bool:
    """Return whether the answer says that the outcome is unknown, without an invitation to ask again."""
    with pytest.raises(OutcomeUnknown) as refused:
        await answer
    return (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "outcome_unknown", None)


async def test_a_single_question_is_a_batch(batcher: Batcher, store: FakeStore) -> None:
    assert await decided(ask(batcher, "a")) == ["a"]
    assert store.batches == [["a"]]


async def test_what_arrives_during_a_batch_is_the_next_batch(batcher: Batcher, store: FakeStore) -> None:
    answers = [await begin(batcher, store, "a")]
    answers += [ask(batcher, *asked) for asked in (["b", "c"], ["d"], ["e", "f", "g"])]
    assert store.batches == [["a"]]
    assert batcher.number_waiting == 6

    store.release()
    store.release()

    assert [await decided(answer) for answer in answers] == [["a"], ["b", "c"], ["d"], ["e", "f", "g"]]
    assert store.batches == [["a"], ["b", "c", "d", "e", "f", "g"]]


async def test_a_batch_has_a_largest_size(batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BATCH_SECONDS", 1.0)
    answers = [await begin(batcher, store, "first")]
    answers += [ask(batcher, name) for name in names("a", 300)]
    for _ in range(3):
        store.release()
    for answer in answers:
        await decided(answer)
    assert [len(batch) for batch in store.batches] == [1, MAX_BATCH, 300 - MAX_BATCH]


async def test_questions_beyond_the_limit_are_refused_at_once(batcher: Batcher, store: FakeStore) -> None:
    under_way = await begin(batcher, store, "first")
    waiting = [ask(batcher, *names(f"{number}-", 100)) for number in range(LIMIT // 100)]

    with pytest.raises(Unavailable, match=BUSY):
        ask(batcher, "more")

    for _ in range(LIMIT):
        store.release()
    assert len(await decided(under_way)) == 1, "what is under way does not wait"
    assert [len(await decided(answer)) for answer in waiting] == [100] * len(waiting)
    assert await decided(ask(batcher, "more")) == ["more"]


async def test_a_request_that_waits_too_long_is_answered_and_never_decided(
    batcher: Batcher, store: FakeStore, clock: Clock
) -> None:
    under_way = await begin(batcher, store, "a")
    await clock.pass_time(1)
    waiting = ask(batcher, "b")
    store.release()
    assert await decided(under_way) == ["a"]
    await clock.pass_time(1)
    last = ask(batcher, "c")

    await clock.pass_time(DECISION_SECONDS - 0.5)
    assert await is_unknown(waiting), "its batch is under way"
    assert not last.done(), "it came later"
    await clock.pass_time(1)
    assert await fails(last, LATE)

    store.release()
    store.release()
    assert await decided(ask(batcher, "d")) == ["d"]
    assert store.batches == [["a"], ["b"], ["d"]]


async def test_a_request_in_a_batch_that_takes_too_long_is_answered(
    batcher: Batcher, store: FakeStore, clock: Clock
) -> None:
    answer = await begin(batcher, store, "a")
    await clock.pass_time(DECISION_SECONDS - 0.1)
    assert not answer.done()

    await clock.pass_time(0.2)

    assert await is_unknown(answer)
    store.release()
    store.release()
    assert await decided(ask(batcher, "b")) == ["b"], "a decision that comes late is dropped"


async def test_the_deadline_of_requests_that_come_later_is_watched_too(
    batcher: Batcher, store: FakeStore, clock: Clock
) -> None:
    assert await decided(ask(batcher, "a")) == ["a"]
    await clock.pass_time(60)  # the batcher has become idle
    answer = await begin(batcher, store, "b")
    await clock.pass_time(DECISION_SECONDS + 0.1)
    assert await is_unknown(answer)


async def test_a_failure_of_the_store_fails_its_batch_and_not_the_next(
    batcher: Batcher, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = LOST
    first = [ask(batcher, "a"), ask(batcher, "b")]
    assert [await fails(answer, DOWN) for answer in first] == [True, True]
    assert store.batches == [["a", "b"]], "a failure of the database says nothing about single questions"

    store.error = None
    assert await decided(ask(batcher, "c")) == ["c"]
    assert "connection" in caplog.text


async def test_a_commit_whose_answer_was_lost_has_an_unknown_outcome(batcher: Batcher, store: FakeStore) -> None:
    store.error = StoreUnavailable("connection", "server closed the connection", may_have_committed=True)
    assert await is_unknown(ask(batcher, "a"))


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    batcher: Batcher, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        store.error = LOST
        for number in range(5):
            assert await fails(ask(batcher, str(number)), DOWN)
        store.error = None
        for number in range(3):
            await ask(batcher, str(number))

    outage = ["The database cannot decide: server closed the connection", "The database decides again."]
    assert [record.getMessage() for record in caplog.records] == outage * 2


@pytest.mark.parametrize("number", [1, 2, 7, 64])
async def test_only_the_questions_that_cause_a_failure_fail(batcher: Batcher, store: FakeStore, number: int) -> None:
    store.failures = {"a0": ValueError("bad"), f"a{number - 1}": ValueError("bad")}
    answers = [ask(batcher, name) for name in names("a", number)]

    await asyncio.wait(answers)

    failed = [f"a{index}" for index, answer in enumerate(answers) if isinstance(answer.exception(), ValueError)]
    assert failed == sorted(store.failures)
    assert all(answer.result()[0].allowed for answer in answers if answer.exception() is None)
    assert await decided(ask(batcher, "next")) == ["next"]


async def test_requests_that_have_been_given_up_are_not_decided_in_halves(
    batcher: Batcher, store: FakeStore, clock: Clock
) -> None:
    store.failures = {"bad": ValueError("bad")}
    answers = [await begin(batcher, store, "first"), *(ask(batcher, name) for name in ("a", "bad", "b", "c"))]
    store.release()
    await clock.pass_time(DECISION_SECONDS + 0.1)
    assert [await is_unknown(answer) for answer in answers[1:]] == [True] * 4
    store.release()
    store.release()

    assert await decided(ask(batcher, "next")) == ["next"]
    assert store.batches == [["first"], ["a", "bad", "b", "c"], ["next"]]


async def test_a_batch_that_starts_too_often_is_unavailable(batcher: Batcher, store: FakeStore) -> None:
    store.failures = {"a": TooManyStarts("again")}
    answers = [ask(batcher, "a"), ask(batcher, "b")]
    assert await fails(answers[0], "again")
    assert await decided(answers[1]) == ["b"]


async def test_an_error_after_the_commit_leaves_no_caller_waiting(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def decide_nothing(questions: Sequence[Question], seconds: float) -> list[Decision]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(store, "decide", decide_nothing)
        answers = [ask(batcher, "a"), ask(batcher, "b")]
        await asyncio.wait(answers, timeout=5)
    assert all(answer.exception() is not None for answer in answers)

    assert await decided(ask(batcher, "c")) == ["c"]


class TestWhetherItCanDecide:
    async def test_it_has_the_store_write(self, batcher: Batcher, store: FakeStore) -> None:
        assert await asyncio.gather(*[batcher.can_decide() for _ in range(5)]) == [True] * 5
        assert (store.pings, store.batches) == (1, [])

    async def test_after_a_decision_it_need_not_write(self, batcher: Batcher, store: FakeStore) -> None:
        assert await decided(ask(batcher, "a")) == ["a"]
        assert await batcher.can_decide()
        assert (store.pings, store.writes) == (1, 0)

    async def test_it_writes_at_most_once_per_second(
        self, batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for seconds, writes in ((3600, 1), (0, 3)):
            monkeypatch.setattr("decisions.batcher.FRESH_SECONDS", seconds)
            assert await batcher.can_decide()
            assert await batcher.can_decide()
            assert store.writes == writes
        assert store.pings == 4

    async def test_it_cannot_if_the_store_fails(
        self, batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.error = LOST
        assert not await batcher.can_decide()
        store.error = None
        assert not await batcher.can_decide(), "a failure is asked for again after a second"
        batcher._down_until = 0.0
        assert await batcher.can_decide()

    async def test_a_ping_does_not_outdo_a_decision_that_failed(self, batcher: Batcher, store: FakeStore) -> None:
        """On a disk that is almost full, a ping can be written, and a decision not."""
        assert await batcher.can_decide()
        store.error = LOST
        assert await fails(ask(batcher, "a"), DOWN)
        store.error = None
        assert not await batcher.can_decide()
        assert await decided(ask(batcher, "b")) == ["b"]
        assert await batcher.can_decide()

    async def test_it_works_while_the_queue_is_full(self, store: FakeStore) -> None:
        batcher = Batcher(store, limit=1)
        answers = [await begin(batcher, store, "a"), ask(batcher, "b")]
        asked = asyncio.create_task(batcher.can_decide())
        await asyncio.sleep(0)
        store.release()
        store.release()
        assert await asked
        assert [await decided(answer) for answer in answers] == [["a"], ["b"]]


class TestClosing:
    async def test_what_is_waiting_is_finished_first(self, batcher: Batcher, store: FakeStore) -> None:
        answers = [await begin(batcher, store, "a"), ask(batcher, "b")]
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.001)
        assert not store.is_closed

        store.release()
        store.release()
        await closing

        assert [await decided(answer) for answer in answers] == [["a"], ["b"]]
        assert store.is_closed

    async def test_an_idle_batcher_closes_at_once(self, batcher: Batcher, store: FakeStore) -> None:
        await batcher.close()
        assert store.is_closed

    async def test_a_failed_batch_does_not_prevent_it(self, batcher: Batcher, store: FakeStore) -> None:
        store.error = LOST
        answer = ask(batcher, "a")
        await batcher.close()
        assert await fails(answer, DOWN)
        assert store.is_closed


async def test_many_callers_get_their_own_decisions(batcher: Batcher, store: FakeStore) -> None:
    async def call(name: str) -> list[str | None]:
        await asyncio.sleep(hash(name) % 7 / 1000)
        return await decided(ask(batcher, name, f"{name}+"))

    asked = names("c", 300)
    assert await asyncio.gather(*map(call, asked)) == [[name, f"{name}+"] for name in asked]
    assert max(map(len, store.batches)) <= MAX_BATCH


async def test_a_flood_makes_room_for_another_tenant(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "turn_of", lambda question: question.request.token[0])
    under_way = await begin(batcher, store, "a")
    flood = [ask(batcher, *names(f"a{number}-", 100)) for number in range(LIMIT // 100)]
    other = ask(batcher, "b")
    assert await fails(flood[-1], BUSY)
    for _ in range(200):
        store.release()
    assert await decided(other) == ["b"]
    assert len(await decided(flood[0])) == 100
    await under_way


async def test_a_request_of_which_only_a_part_was_decided_has_an_unknown_outcome(
    batcher: Batcher, store: FakeStore
) -> None:
    store.failures["a50"] = ValueError("of this question")
    with pytest.raises(OutcomeUnknown):
        await ask(batcher, *names("a", 400))
    assert sum(map(len, store.batches)) < 400, "the rest is not decided"


async def test_requests_are_read_between_two_batches(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the store never waits, as on SQLite, and much is waiting."""
    read: list[str] = []
    begun: list[int] = []

    async def decide(questions: Sequence[Question], *_: object) -> list[Decision]:
        begun.append(len(read))
        asyncio.get_running_loop().call_soon(read.append, "what arrived meanwhile")
        return [Decision(allowed=True, effort=turns.COSTLY) for _ in questions]

    monkeypatch.setattr(store, "decide", decide)
    monkeypatch.setattr(turns, "BATCH_SECONDS", turns.FIRST_COST)
    for answer in [ask(batcher, name) for name in names("a", 5)]:
        await answer
    assert begun == [0, 1, 2, 3, 4]


async def test_what_arrives_while_a_batch_ends_can_be_in_the_next_one(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop calls the handlers of its sockets after the tasks that were ready before."""
    batches: list[int] = []
    late: list[Answer] = []

    async def decide(questions: Sequence[Question], *_: object) -> list[Decision]:
        batches.append(len(late))
        if len(batches) == 1:
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: loop.call_soon(lambda: late.append(ask(batcher, "late"))))
        return [Decision(allowed=True) for _ in questions]

    monkeypatch.setattr(store, "decide", decide)
    monkeypatch.setattr(turns, "MAX_BATCH", 1)
    await asyncio.gather(*[ask(batcher, name) for name in names("a", 3)])
    await late[0]
    assert batches == [0, 1, 1, 1]


async def test_what_takes_too_long_for_a_batch_is_in_the_next_ones(batcher: Batcher, store: FakeStore) -> None:
    store.most = 2
    answers = [ask(batcher, "a"), ask(batcher, "b", "c", "d"), ask(batcher, "e")]
    assert [await decided(answer) for answer in answers] == [["a"], ["b", "c", "d"], ["e"]]
    assert store.batches == [["a", "b"], ["c", "d"], ["e"]]
    assert batcher.number_waiting == 0


async def begin_commit(batcher: Batcher, store: FakeStore) -> tuple[asyncio.Event, Answer]:
    """Let a batch begin whose commit waits for the event."""
    commit = store.hold_commit("a")
    answer = ask(batcher, "a")
    await asyncio.sleep(0.005)
    return commit, answer


async def is_begun(store: FakeStore, number: int) -> bool:
    """Return whether this many batches have begun after a moment, and no more."""
    await asyncio.sleep(0.005)
    return len(store.batches) == number


async def test_while_one_commits_the_next_is_read_if_enough_wait(batcher: Batcher, store: FakeStore) -> None:
    commit, first = await begin_commit(batcher, store)
    others = [ask(batcher, name) for name in names("b", MIN_BESIDE - 1)]
    assert await is_begun(store, 1)

    others.append(ask(batcher, "last"))

    assert await is_begun(store, 2)
    assert [await decided(answer) for answer in others][-1] == ["last"]
    assert not first.done()
    commit.set()
    assert await decided(first) == ["a"]


async def test_only_one_is_read_while_others_commit(batcher: Batcher, store: FakeStore) -> None:
    commits = [store.hold_commit("a"), store.hold_commit("b0"), store.hold_commit("c0")]
    answers = [ask(batcher, "a")]
    for prefix in "bc":
        await asyncio.sleep(0.005)
        answers += [ask(batcher, name) for name in names(prefix, MIN_BESIDE)]
    assert await is_begun(store, 2), "two are under way"

    commits[0].set()

    assert await is_begun(store, 3)
    for commit in commits:
        commit.set()
    assert len([await decided(answer) for answer in answers]) == 1 + 2 * MIN_BESIDE


async def test_the_parts_of_a_request_are_decided_one_after_the_other(batcher: Batcher, store: FakeStore) -> None:
    commit = store.hold_commit("a0")
    store.most = 20
    many = ask(batcher, *names("a", 40))
    others = [ask(batcher, name) for name in names("b", MIN_BESIDE)]
    assert await is_begun(store, 1), "the rest of the request must wait"

    commit.set()

    assert await decided(many) == names("a", 40)
    assert [await decided(answer) for answer in others] == [[name] for name in names("b", MIN_BESIDE)]


async def test_a_commit_that_fails_is_not_that_of_the_batch_beside_it(batcher: Batcher, store: FakeStore) -> None:
    store.failures = {"a": StoreUnavailable("timeout", "late", may_have_committed=True)}
    commit, first = await begin_commit(batcher, store)
    others = [ask(batcher, name) for name in names("b", MIN_BESIDE)]
    assert [await decided(answer) for answer in others] == [[name] for name in names("b", MIN_BESIDE)]

    commit.set()

    assert await is_unknown(first)
    assert await decided(ask(batcher, "c")) == ["c"]


async def test_closing_waits_for_all_commits(batcher: Batcher, store: FakeStore) -> None:
    commit, first = await begin_commit(batcher, store)
    others = [ask(batcher, name) for name in names("b", MIN_BESIDE)]
    await asyncio.wait(others)

    closing = asyncio.ensure_future(batcher.close())
    await asyncio.sleep(0.005)
    assert not store.is_closed
    commit.set()
    await closing

    assert store.is_closed
    assert await decided(first) == ["a"]


async def test_half_of_many_callers_are_enough_for_a_batch_if_the_other_half_can_commit(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BATCH_SECONDS", 1.0)
    store.reads_beside_commits = True
    await asyncio.wait([ask(batcher, name) for name in names("a", 2 * MIN_BESIDE)])
    assert batcher._wanted == MIN_BESIDE


async def test_requests_that_are_decided_in_parts_after_a_failure_are_all_answered(
    batcher: Batcher, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each half of the failed batch gives its request back, and the second one is still in the queue."""

    async def decide(questions: Sequence[Question], *others: Any) -> list[Decision]:
        number = len(store.batches)
        if number == 0:
            store.batches.append([])
            raise ValueError("a question that the log cannot take")
        store.most = 1 if number < 3 else LIMIT
        return await original(questions, *others)

    original = store.decide
    monkeypatch.setattr(store, "decide", decide)
    answers = [ask(batcher, *names("a", 3)), ask(batcher, *names("b", 7))]
    assert [await decided(answer) for answer in answers] == [names("a", 3), names("b", 7)]
    assert await decided(ask(batcher, "later")) == ["later"]


async def test_an_error_in_the_turns_fails_what_waits_and_not_what_comes_later(
    batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(batcher._turns, "take", lambda: names("a", 1)[1])
        waiting = ask(batcher, "a")
        with pytest.raises(IndexError):
            await waiting
    assert await decided(ask(batcher, "later")) == ["later"]
