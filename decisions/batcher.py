"""The batcher decides the questions together that arrived while the previous batch was under way.

So batches grow with the load, and each costs little more than a single question. Tenants take turns
(`decisions/turns.py`). All methods but `decide` are called in the event loop's thread.

`_work` takes one batch after the other, and lets a task of its own decide each (`_run`). It takes the next when the one
before has ended or, on some stores, when that only waits for its commit and enough questions wait (`_begin_next`).
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain

from core.errors import OutcomeUnknown, Unavailable
from core.metrics import report_batch, report_refused_question, report_store_error
from core.timeouts import DECISION_SECONDS
from decisions.expectations import turn_of
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.base import Committing, Store, StoreUnavailable, ignore
from decisions.turns import BATCH_SECONDS, Part, Pending, Tenant, Turns

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
# After this time, a batch leaves its remaining questions to the next one, because they cost more than expected.
LONGEST_SECONDS = 2 * BATCH_SECONDS
# Turns of the event loop. At 32 connections, waiting for them decides a fifth more.
GATHER_TURNS = 12
# How many batches may be under way: the last reads while the others commit.
MAX_UNDER_WAY = 2
# How many questions must wait for that. Smaller batches would cost more than they win.
MIN_BESIDE = 16
# Even if much waits, because this task comes before the requests that arrived in the same turn of the loop.
LEAST_TURNS = 1
BUSY = "Too many questions are waiting. Try again in a moment."
LATE = "The decision took too long. Try again in a moment."
DOWN = "Try again in a moment."
# A ping waits for no tenant.
PING = "ping"
# For this long after a commit, the next one is expected to succeed, so at most one ping per this time writes.
FRESH_SECONDS = 1.0
# For this long after a failed decision, a ping that succeeds proves nothing: a decision can be larger.
FAILED_SECONDS = 5.0


class Batcher:
    """Decides on one store. `limit` is the number of questions that may wait."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(turn_of)
        self._under_way: list[Sequence[Part]] = []
        """One batch, or two if the first only waits for its commit."""
        self._task: asyncio.Task[None] | None = None
        self._deciding: set[asyncio.Task[None]] = set()
        self._next: asyncio.Event | None = None
        """What lets a batch begin while another commits."""
        self._ticking = False
        self._wanted = 0
        self._is_down = False
        self._ping: asyncio.Future[list[Decision]] | None = None
        self._committed_at = self._down_until = float("-inf")

    @property
    def number_waiting(self) -> int:
        """How many questions wait for a batch."""
        return self._turns.number

    def submit(self, questions: Sequence[Question]) -> asyncio.Future[list[Decision]]:
        """Return the future decisions, in order. They are committed when it is done.

        Raises `Unavailable` if too many questions are waiting. So does the future if the database does not answer in
        time. If a batch fails in another way, only the questions that cause it fail. Many questions can be decided in
        several batches. If only some of these succeed, the future raises `OutcomeUnknown`.
        """
        tenant = self._tenant_of(questions)
        self._make_room(tenant, len(questions))
        pending = Pending(questions, self._loop.create_future(), time.perf_counter())
        self._turns.add(tenant, pending)
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        elif self._next is not None:
            self._begin_next()
        if not self._ticking:
            self._tick()
        return pending.answer

    def decide(self, questions: Sequence[Question]) -> list[Decision]:
        """Decide questions for another thread, which waits. Raises like `submit` and its future."""
        return asyncio.run_coroutine_threadsafe(self._submit(questions), self._loop).result()

    async def _submit(self, questions: Sequence[Question]) -> list[Decision]:
        return await self.submit(questions)

    async def can_decide(self) -> bool:
        """Return whether decisions can be committed: one just was, or an empty row of the journal can be."""
        if time.perf_counter() < self._down_until:
            return False
        if self._ping is None or self._ping.done():
            self._ping = self.submit(())
        try:
            await asyncio.shield(self._ping)
        except Exception:  # it has been logged
            self._down_until = max(self._down_until, time.perf_counter() + FRESH_SECONDS)
            return False
        return time.perf_counter() >= self._down_until

    async def close(self) -> None:
        """Finish what is waiting, and close the store."""
        if self._task is not None:
            await self._task
        if self._deciding:
            await asyncio.wait(self._deciding)
        await self._store.close()

    def _tenant_of(self, questions: Sequence[Question]) -> Tenant:
        """Return the tenant whose turn the questions take: the organization concerned whose questions cost most."""
        if len(questions) == 1:
            return self._turns.tenant(turn_of(questions[0]))
        names = {turn_of(question) for question in questions} if questions else {PING}
        return max(map(self._turns.tenant, names), key=lambda tenant: tenant.cost)

    def _make_room(self, tenant: Tenant, number: int) -> None:
        """Refuse the newest requests of the tenant with the most questions. Raises `Unavailable` if it is this one."""
        while number and self._turns.number + number > self._limit:
            dropped = self._turns.drop_newest(beyond=tenant.number + number)
            report_refused_question("full", len(dropped.questions) if dropped else number)
            if dropped is None:
                raise Unavailable(BUSY)
            _fail((dropped,), Unavailable(BUSY))

    async def _work(self) -> None:
        """Decide batches until nothing waits."""
        try:
            while batch := await self._gather():
                following = asyncio.Event()
                task = self._loop.create_task(self._run(batch, following))
                self._deciding.add(task)
                task.add_done_callback(self._deciding.discard)
                await following.wait()
        except Exception as error:  # an error in the turns must not end the next callers' decisions, too
            logger.exception("No batch could be taken")
            waiting, self._turns = tuple(self._turns), Turns(turn_of)
            _fail(waiting, error)
        finally:
            self._task = None

    async def _run(self, batch: Sequence[Part], following: asyncio.Event) -> None:
        """Decide a batch. Set the event when the next one may begin."""
        self._under_way.append(batch)
        try:
            await self._decide(batch, partial(self._commit, batch, following))
        except Exception as error:  # an error in this class must not leave callers waiting
            logger.exception("A batch could not be answered")
            _fail(_pending(batch), error)
        self._under_way.remove(batch)
        following.set()
        self._begin_next()

    def _commit(self, batch: Sequence[Part], following: asyncio.Event, decided: int) -> None:
        """Let the next batch begin while this one commits, unless it may contain more of the same requests."""
        if decided == _size(batch) and all(part.pending.is_taken for part in batch):
            self._next = following
            self._begin_next()

    def _begin_next(self) -> None:
        """Let the next batch begin, if one that only commits is under way and enough questions wait."""
        if self._next is not None and len(self._under_way) < MAX_UNDER_WAY and self.number_waiting >= MIN_BESIDE:
            self._next.set()
            self._next = None

    async def _gather(self) -> list[Part]:
        """Return the next requests, after a moment for the callers that were answered last to ask again.

        Without it, the callers split into two groups, and batches are half as large.
        """
        for turn in range(GATHER_TURNS):
            await asyncio.sleep(0)
            if turn >= LEAST_TURNS and (self._under_way or self.number_waiting >= self._wanted):
                break
        batch = self._turns.take()
        self._wanted = self._wanted_after(_size(batch))
        return batch

    def _wanted_after(self, size: int) -> int:
        """Return for how many questions to wait, after a batch of this size: for all that were asked at the same time.

        If they are many, half of them are enough, so that one half is read while the other commits.
        """
        together = size + self.number_waiting + sum(map(_size, self._under_way))
        return together // 2 if self._store.reads_beside_commits and together >= 2 * MIN_BESIDE else size

    async def _decide(self, batch: Sequence[Part], committing: Committing = ignore) -> None:
        questions = list(chain.from_iterable(part.questions for part in batch))
        try:
            if questions:
                decisions = await self._store.decide(questions, LONGEST_SECONDS, committing)
            else:
                decisions = await self._ping_store()
        except StoreUnavailable as error:
            self._report_down(error)
            if questions:
                self._down_until = time.perf_counter() + FAILED_SECONDS
            _fail(_pending(batch), OutcomeUnknown(LATE) if error.may_have_committed else Unavailable(DOWN))
        except Exception as error:
            await self._decide_apart(batch, error)
        else:
            self._report_up(has_decided=bool(questions))
            self._answer(batch, decisions)

    async def _ping_store(self) -> list[Decision]:
        """Have the store read and, unless something was committed just now, write. Return no decisions."""
        await self._store.ping(writes=time.perf_counter() >= self._committed_at + FRESH_SECONDS)
        return []

    async def _decide_apart(self, batch: Sequence[Part], error: Exception) -> None:
        """Decide the halves of a batch that failed, until only the requests that cause it fail."""
        batch = [part for part in batch if not part.pending.answer.done()]
        if len(batch) <= 1:
            logger.error("A decision failed", exc_info=error)
            _fail(_pending(batch), error)
            return
        middle = len(batch) // 2
        await self._decide(batch[:middle])
        await self._decide(batch[middle:])

    def _answer(self, batch: Sequence[Part], decided: Sequence[Decision]) -> None:
        """Answer the requests whose questions are all decided. Questions that the store left undecided wait again."""
        now, decisions = time.perf_counter(), iter(decided)
        if not decided and any(part.questions for part in batch):
            raise RuntimeError("The store has decided nothing.")
        batch = self._turns.give_back(batch, len(decided))
        reasons: list[str | None] = []
        seconds: list[float] = []
        spent: list[float] = []
        for pending, questions, _, _ in batch:
            own = [next(decisions) for _ in questions]
            reasons += [decision.reason for decision in own if decision.is_answer]
            seconds += [now - pending.arrived] * len(own)
            spent.append(sum([decision.effort for decision in own]))
            pending.decisions += own
            if pending.answer.done():
                continue
            refused = [decision for decision in own if decision.problem]
            if refused:  # so are those of its questions that wait
                pending.answer.set_result(refused[:1] * len(pending.questions))
            elif len(pending.decisions) == len(pending.questions):
                pending.answer.set_result(pending.decisions)
        self._turns.settle(batch, spent)
        if seconds:
            report_batch(reasons, seconds)

    def _report_down(self, error: StoreUnavailable) -> None:
        """Count the error. Only the first of an outage is logged: under load there are thousands."""
        report_store_error(error.kind)
        if not self._is_down:
            logger.error("The database cannot decide: %s", str(error).split("\n", 1)[0])
        self._is_down = True

    def _report_up(self, *, has_decided: bool) -> None:
        if self._is_down:
            logger.warning("The database decides again.")
        now, self._is_down = time.perf_counter(), False
        if has_decided:
            self._down_until = float("-inf")
        if has_decided or now >= self._committed_at + FRESH_SECONDS:  # the ping has written
            self._committed_at = now

    def _tick(self) -> None:
        """Give up on requests whose deadline has passed, as long as there are any."""
        late = time.perf_counter() - DECISION_SECONDS
        # A batch under way may still be committed. Requests that wait are dropped.
        under_way = [part.pending for batch in self._under_way for part in batch]
        for queue, error in ((under_way, OutcomeUnknown), (self._turns, Unavailable)):
            for pending in queue:
                if pending.arrived < late and not pending.answer.done():
                    report_refused_question("deadline", len(pending.questions))
                    _fail((pending,), error(LATE))
        self._ticking = self._task is not None or bool(self._under_way)
        if self._ticking:
            self._loop.call_later(TICK_SECONDS, self._tick)


def _size(batch: Sequence[Part]) -> int:
    return sum([len(part.questions) for part in batch])


def _pending(batch: Sequence[Part]) -> Sequence[Pending]:
    return [part.pending for part in batch]


def _fail(requests: Iterable[Pending], error: Exception) -> None:
    """Answer by the error or, if some decisions of a request are committed, that its outcome is unknown."""
    for pending in requests:
        if not pending.answer.done():
            pending.answer.set_exception(OutcomeUnknown(LATE) if pending.decisions else error)
