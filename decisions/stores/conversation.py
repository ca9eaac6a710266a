"""The conversation with the database that decides a batch: the same for both databases and all drivers.

`converse` is a generator that yields trips to the database and receives their rows, so it needs no driver. A driver
runs it, and each driver has a transaction of its own. On PostgreSQL a batch takes two trips:

1. Hold revocations, read the facts, and lock the counters that the questions are expected to need.
2. Save the counters, write the journal, and commit.

If other counters turn out to be needed, the transaction is rolled back and starts again with them, because counters
must be locked in the order of their keys. Facts that are not in memory, such as changed policies, cost one more trip.
"""

from collections.abc import Collection, Generator, Sequence
from datetime import datetime, timedelta
from typing import Any

from audit.entries.drafts import prepare
from audit.entries.journal import encode
from core import clock
from core.errors import Unavailable
from decisions.entries import draft_entry
from decisions.expectations import expected_counters, learn
from decisions.judgement import Found, Judgement, judge
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.reading import Facts, ask_facts, ask_further, read_counters
from decisions.stores.statements import Statement, Step, Trip
from limits.counting import row_of, take_call, windows_by_key
from limits.sliding_window import LoadedCounter

Rows = Sequence[Sequence[Any]]
Conversation = Generator[Trip, Rows, list[Decision]]
"""Yields trips. Each must be answered with the rows of each of its `steps`, in order."""

MAX_STARTS = 10
# How long the sweep of idle counters leaves a new one alone.
NEW_COUNTER_LIFETIME = timedelta(hours=1)


class TooManyStarts(Unavailable):
    """Other counters were needed at each start. The batch is rolled back and can be tried again."""


def converse(questions: Sequence[Question], *, is_serial: bool) -> Conversation:
    """Decide a batch. Return the decisions in order, after their commit.

    `is_serial` means that there is no other writer, as on SQLite, so counters need no lock and no order.
    """
    expected, new = (set(), set()) if is_serial else expected_counters(questions, clock.now())
    for _ in range(MAX_STARTS):
        before = _create(new)
        facts = Facts((yield Trip(ask_facts(questions, expected), before, begins=True)))
        further = ask_further(questions, facts)
        if further:
            facts.add((yield Trip(further)))
        found = [facts.about(question) for question in questions]
        now = clock.now()
        judgements = [judge(question, each, now) for question, each in zip(questions, found, strict=True)]
        windows = windows_by_key(limit.request for judgement in judgements for limit in judgement.limits)
        unread = windows.keys() - facts.counters.keys()
        if not unread or is_serial:
            if unread:
                facts.add((yield Trip([read_counters(unread)])))
            return (yield from _finish(judgements, found, facts.load_counters(windows)))
        yield Trip((), rolls_back=True)
        expected, new = expected | unread, unread
    raise TooManyStarts("The limits change too fast. Try again in a moment.")


def _finish(
    judgements: Sequence[Judgement], found: Sequence[Found], counters: dict[str, LoadedCounter]
) -> Conversation:
    """Count the limits, save everything and commit."""
    # Read the clock again: waiting for a lock takes time, and the log has the time of the decision.
    now = clock.now()
    for judgement, each in zip(judgements, found, strict=True):
        _take(judgement, each, counters, now)
    logged = [judgement for judgement in judgements if judgement.is_logged]
    entries = prepare([draft_entry(judgement) for judgement in logged], now)
    steps = [*_save(counters.values())]
    if entries:
        steps.append(Step(Statement.WRITE_JOURNAL, (encode(entries),)))
    yield Trip(steps, commits=True)
    for judgement, entry in zip(logged, entries, strict=True):
        judgement.decision.audit_id, judgement.decision.decided_at = entry.id, now
    return [judgement.decision for judgement in judgements]


def _take(judgement: Judgement, found: Found, counters: dict[str, LoadedCounter], now: datetime) -> None:
    """Count a call against all its limits. If one is full, count nothing and deny it."""
    if found.token is None or not judgement.decision.allowed:
        return
    requests = [limit.request for limit in judgement.limits]
    learn(judgement.question, found.token, found.service, requests)
    denial = take_call(requests, counters, now) if requests else None
    if denial is not None:
        judgement.deny_by_limit(found.token, found, denial.index, denial.retry_after_seconds)


def _save(counters: Collection[LoadedCounter]) -> Sequence[Step]:
    changed = [counter for counter in counters if counter.changed]
    if not changed:
        return ()
    rows = [(counter.key, *row_of(counter)) for counter in changed]
    return (Step(Statement.SAVE_COUNTERS, tuple(map(list, zip(*rows, strict=True)))),)


def _create(keys: Collection[str]) -> Sequence[Step]:
    if not keys:
        return ()
    return (Step(Statement.CREATE_COUNTERS, (clock.now() + NEW_COUNTER_LIFETIME, sorted(keys))),)
