"""The turns of tenants in the batcher. The more a tenant's questions cost, the less often it is next (docs/adr/0067).

A batch takes questions of the tenant that has used the least time, part by part, until it is full or a part leaves some
of its request. So a tenant whose questions cost a hundred times as much gets a hundredth of their number. Costly
questions have batches of their own, which are short, so they delay others by one of them.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from decisions.memory import Bounded
from decisions.questions import Question
from decisions.requests import Decision

MAX_BATCH = 256
# How many seconds a batch may take, by the measured cost of its questions. One question can exceed it.
BATCH_SECONDS = 0.01
# How many seconds a tenant gets before others are next: for part of a large request, and in a batch of its own.
PART_SECONDS = BATCH_SECONDS / 4
# From this cost on, a tenant's questions share no batch with others'.
COSTLY = 0.001
# The assumed cost of a new tenant's questions, high enough for a small first part.
FIRST_COST = 0.0005
# The least assumed cost of a question, so that the size of a part has a limit.
LEAST_COST = 0.00001
# The weight of the newest batch in the average cost of a tenant's questions.
WEIGHT = 0.5
MAX_TENANTS = 10_000
# The turn of questions whose organization is unknown.
STRANGERS = ""


@dataclass(slots=True, eq=False)
class Pending:
    """Questions of one request, with the decisions so far. `arrived` is in seconds of `time.perf_counter`."""

    questions: Sequence[Question]
    answer: asyncio.Future[list[Decision]]
    arrived: float
    taken: int = 0
    decisions: list[Decision] = field(default_factory=list)

    def take(self, most: int) -> Sequence[Question]:
        """Return the next questions, at most this many."""
        questions = self.questions[self.taken : self.taken + most]
        if self.taken and questions[0].request.repeat:
            questions = [question._replace(continues=True) for question in questions]
        self.taken += len(questions)
        return questions

    @property
    def is_taken(self) -> bool:
        return self.taken >= len(self.questions)


@dataclass(slots=True, eq=False)
class Tenant:
    """The waiting requests of a tenant. `given` is the time it has used, `cost` the time per question, in seconds."""

    given: float = 0.0
    cost: float = FIRST_COST
    number: int = 0
    """How many of its questions wait."""
    pending: deque[Pending] = field(default_factory=deque)
    is_queued: bool = False
    """Whether it is in the heap, where it can stay for a while when nothing waits."""


class Part(NamedTuple):
    """Questions of one request in one batch, the tenant whose turn they take, and their assumed cost."""

    pending: Pending
    questions: Sequence[Question]
    tenant: Tenant
    assumed: float


class Turns:
    """The requests that wait, by tenant, and whose turn it is."""

    def __init__(self, name_of: Callable[[Question], str]) -> None:
        self._name_of = name_of
        self._tenants: Bounded[str, Tenant] = Bounded(MAX_TENANTS)
        # By the time that they had used when they were put here.
        self._heap: list[tuple[float, int, Tenant]] = []
        self._order = count()
        self._given = 0.0
        """The time used by the tenant that was next last. A tenant cannot save up time that it did not use."""
        self._strangers = Tenant()
        self.number = 0
        """How many questions wait."""

    def __iter__(self) -> Iterator[Pending]:
        return (pending for _, _, tenant in self._heap for pending in tenant.pending)

    def tenant(self, name: str) -> Tenant:
        if name == STRANGERS:
            return self._strangers
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = Tenant()
        return tenant

    def add(self, tenant: Tenant, pending: Pending) -> None:
        if not tenant.pending:
            tenant.given = max(tenant.given, self._given)
        self._queue(tenant)
        tenant.pending.append(pending)
        self._count(tenant, len(pending.questions) - pending.taken)

    def take(self) -> list[Part]:
        """Return the next batch. Empty if nothing waits."""
        batch: list[Part] = []
        size, seconds = 0, 0.0
        while (tenant := self._next()) is not None:
            if batch and not _fits(tenant, batch, size, seconds):
                break
            part = self._take_part(tenant, MAX_BATCH - size)
            if part is not None:
                batch.append(part)
                size += len(part.questions)
                seconds += part.assumed
        return batch

    def give_back(self, batch: Sequence[Part], decided: int) -> list[Part]:
        """Let all but the first `decided` questions of a batch wait again. Return the parts without these."""
        if decided >= sum([len(part.questions) for part in batch]):
            return list(batch)
        kept = []
        for part in batch:
            kept.append(part._replace(questions=part.questions[:decided]))
            decided -= len(kept[-1].questions)
        for part, own in zip(reversed(batch), reversed(kept), strict=True):
            if number := len(part.questions) - len(own.questions):
                self._take_back(part.tenant, part.pending, number)
        return kept

    def settle(self, batch: Sequence[Part], spent: Sequence[float]) -> None:
        """Charge tenants the seconds that their parts have cost instead of the assumed ones."""
        costs: dict[Tenant, tuple[int, float]] = {}
        for part, seconds in zip(batch, spent, strict=True):
            part.tenant.given += seconds - part.assumed
            number, before = costs.get(part.tenant, (0, 0.0))
            costs[part.tenant] = number + len(part.questions), before + seconds
        for tenant, (number, seconds) in costs.items():
            if number:
                tenant.cost = max(LEAST_COST, tenant.cost + WEIGHT * (seconds / number - tenant.cost))

    def drop_newest(self, *, beyond: int) -> Pending | None:
        """Remove the newest request of the tenant with the most questions, and return it.

        A tenant whose only request has begun loses none. None if no other has more than `beyond`.
        """
        waiting = (tenant for _, _, tenant in self._heap if tenant.pending and not tenant.pending[-1].taken)
        tenant = max(waiting, key=lambda each: each.number, default=None)
        if tenant is None or tenant.number <= beyond:
            return None
        pending = tenant.pending.pop()
        self._count(tenant, -len(pending.questions))
        return pending

    def _take_back(self, tenant: Tenant, pending: Pending, number: int) -> None:
        """Put the questions of a request that were taken last back in front of the queue."""
        self._queue(tenant)
        pending.taken -= number
        if pending not in tenant.pending:
            tenant.pending.appendleft(pending)
        self._count(tenant, number)

    def _queue(self, tenant: Tenant) -> None:
        if not tenant.is_queued:
            heapq.heappush(self._heap, (tenant.given, next(self._order), tenant))
            tenant.is_queued = True

    def _next(self) -> Tenant | None:
        """Return the tenant that has used the least time. Its place in the heap can be out of date."""
        while self._heap:
            given, order, tenant = self._heap[0]
            if not tenant.pending:
                heapq.heappop(self._heap)
                tenant.is_queued = False
            elif given < tenant.given:
                heapq.heapreplace(self._heap, (tenant.given, order, tenant))
            else:
                self._given = max(self._given, given)
                return tenant
        return None

    def _take_part(self, tenant: Tenant, room: int) -> Part | None:
        """Take the next questions of a tenant. None if they are late, or belong to another tenant by now."""
        pending = tenant.pending[0]
        owner = self.tenant(self._name_of(pending.questions[0])) if tenant is self._strangers else tenant
        if pending.answer.done() or owner is not tenant:
            tenant.pending.popleft()
            self._count(tenant, pending.taken - len(pending.questions))
            if not pending.answer.done():  # its organization has become known meanwhile
                self.add(owner, pending)
            return None
        questions = pending.take(min(room, max(1, int(PART_SECONDS / tenant.cost))))
        if pending.is_taken:
            tenant.pending.popleft()
        self._count(tenant, -len(questions))
        assumed = tenant.cost * len(questions)
        tenant.given += assumed
        return Part(pending, questions, tenant, assumed)

    def _count(self, tenant: Tenant, number: int) -> None:
        tenant.number += number
        self.number += number


def _fits(tenant: Tenant, batch: Sequence[Part], size: int, seconds: float) -> bool:
    """Return whether a batch of this size and cost may have questions of the tenant, too."""
    if not batch[-1].pending.is_taken:  # other tenants come before the next part of a request
        return False
    first = batch[0].tenant
    if tenant.cost >= COSTLY or first.cost >= COSTLY:
        return tenant is first and seconds < PART_SECONDS
    return size < MAX_BATCH and seconds < BATCH_SECONDS
