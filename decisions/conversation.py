"""The conversation with the database that decides a batch: the same for both databases and all drivers.

`converse` is a generator that yields trips to the database and receives their rows, so it needs no driver. A driver
runs it, and each driver has a transaction of its own. On PostgreSQL a batch takes two trips:

1. Hold revocations and the keys of repeatable requests, read the facts, and lock the counters that the questions are
   expected to need.
2. Save the counters, write the journal, and commit.

If other counters turn out to be needed, the transaction is rolled back and starts again with them, because counters
must be locked in the order of their keys. Facts that are not in memory, such as changed policies, cost one more trip,
and so do approvals, which are read once the counters are locked.
"""

from collections.abc import Collection, Generator, Iterable, Sequence
from datetime import datetime, timedelta
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

from audit.entries.drafts import Draft
from audit.entries.journal import seal, seal_rows
from core import clock
from core.errors import Unavailable
from decisions.approvals import BatchApprovals, read_approvals, rule_windows
from decisions.basis import Found
from decisions.entries import draft_shadows, encode_entries
from decisions.expectations import expected_counters, learn, see
from decisions.facts import ReservedFacts
from decisions.judgement import Judgement, is_authentic, judge
from decisions.questions import Question
from decisions.repeats import find_problems
from decisions.requests import Decision
from decisions.reservations import write_reservations
from decisions.settling import Settling
from decisions.stores.reading import Facts, ask_facts, ask_further, ask_scopes, read_counters
from decisions.stores.statements import Statement, Step, Trip
from decisions.tracing import describe_trace
from limits.counting import row_of, windows_by_key
from limits.flows import LoadedFlow
from limits.sliding_window import LoadedCounter

Rows = Sequence[Sequence[Any]]
Conversation = Generator[Trip, Rows, list[Decision]]
"""Yields trips. Each must be answered with the rows of each of its `steps`, in order."""

MAX_STARTS = 10
# How long the sweep of idle counters leaves a new one alone.
NEW_COUNTER_LIFETIME = timedelta(hours=1)
# What it takes to read, lock and save a counter.
COUNTER_SECONDS = 0.00002
# What it takes to write an entry of a shadow policy.
ENTRY_SECONDS = 0.00005
# Anything longer was probably interrupted by other threads and processes.
LONGEST_SECONDS = 0.005


class TooManyStarts(Unavailable):
    """Other counters were needed at each start. The batch is rolled back and can be tried again."""


def converse(questions: Sequence[Question], *, is_serial: bool, seconds: float = inf) -> Conversation:
    """Decide a batch. Return the decisions in order, after their commit.

    `is_serial` means that there is no other writer, as on SQLite, so counters need no lock and no order. Only the first
    questions are decided if all would take more than about this many `seconds`.
    """
    expected, new = set[str](), set[str]()
    if not is_serial:
        number, expected, new = expected_counters(questions, clock.now(), seconds / COUNTER_SECONDS)
        questions = questions[:number]
    for _ in range(MAX_STARTS):
        before = _create(new)
        facts = Facts((yield Trip(ask_facts(questions, expected), before, begins=True)))
        further = ask_further(questions, facts)
        if further:
            facts.add((yield Trip(further)))
        scopes = ask_scopes(questions, facts)
        if scopes:
            facts.add((yield Trip(scopes)))
        found: Sequence[Found] = [facts.about(question) for question in questions]
        # All locks are held now, unless the transaction starts again: waiting for a lock takes time.
        now = clock.now()
        found = _with_problems(questions, found, facts.reserved.values(), now)
        judgements = _judge_first(questions, found, now, seconds)
        _charge_repeats(judgements, len(expected) / max(1, len(questions)))
        questions = questions[: len(judgements)]
        needed = Needed.by(judgements)
        unread = needed.keys - facts.counters.keys()
        if unread and not is_serial:
            yield Trip((), rolls_back=True)
            expected, new = expected | unread, unread
            continue
        last = [*([read_counters(unread)] if unread else ()), *needed.approvals]
        if last:
            facts.add((yield Trip(last)))
        return (yield from _finish(judgements, found[: len(judgements)], facts, needed, now))
    raise TooManyStarts("The limits change too fast. Try again in a moment.")


def ping(*, writes: bool) -> Trip:
    """Return a trip that shows whether decisions can be made. On a full disk, for example, only reading works."""
    read, write = Step(Statement.PING), Step(Statement.WRITE_JOURNAL, (seal([]),))
    return Trip([read, write], begins=True, commits=True) if writes else Trip([read])


class Needed(NamedTuple):
    """What judgements need of the database: counters, by key with their window, flows, and the steps for approvals.

    `rules` are counters of rules that users accepted. They are read with the approvals, under the lock of the counter
    of the connection's prompts, so they cannot deadlock, and a missing one is empty.
    """

    windows: dict[str, int]
    flows: set[str]
    rules: dict[str, int]
    approvals: Sequence[Step]

    @classmethod
    def by(cls, judgements: Sequence[Judgement]) -> "Needed":
        open_ones = [each for each in judgements if not each.is_final]
        windows = windows_by_key(request for each in open_ones for request in each.counter_requests())
        flows = {key for each in open_ones for key in each.flow_keys()}
        contents = [each.content for each in open_ones if each.content]
        rules = rule_windows(contents)
        return cls(windows, flows, rules, [read_approvals(contents), read_counters(rules)] if contents else [])

    @property
    def keys(self) -> set[str]:
        return self.windows.keys() | self.flows


def _finish(
    judgements: Sequence[Judgement], found: Sequence[Found], facts: Facts, needed: Needed, now: datetime
) -> Conversation:
    """Settle the judgements, save everything and commit. `now` is the time of all decisions."""
    counters, flows = facts.load_counters(needed.windows), facts.load_flows(needed.flows)
    rules = facts.load_counters(needed.rules)
    settling = Settling(counters, flows, BatchApprovals(facts.approvals, now, rules), now)
    shadows: list[Draft] = []
    for judgement, each in zip(judgements, found, strict=True):
        is_final = judgement.is_final
        keys = () if is_final else judgement.needed_keys()
        if each.token is not None:
            see(judgement.question, each.token, each.service)
            if judgement.decision.allowed and not judgement.is_repeated:
                learn(judgement.question, each.token, keys)
        if not is_final:
            began = perf_counter()
            own = _settle(judgement, each, settling)
            judgement.effort += min(LONGEST_SECONDS, perf_counter() - began)
            judgement.effort += len(keys) * COUNTER_SECONDS + len(own) * ENTRY_SECONDS
            shadows += own
    logged = [judgement for judgement in judgements if judgement.is_logged]
    entries = encode_entries(logged, shadows, now)
    new = {key for key, rule in rules.items() if rule.changed and key not in facts.counters}
    steps = [*_create(new), *_save([*counters.values(), *flows.values(), *rules.values()])]
    steps += settling.approvals.steps()
    steps += write_reservations(zip(logged, entries.ids, strict=False), now)
    steps += [Step(Statement.WRITE_JOURNAL, (body,)) for body in seal_rows(entries.encoded)]
    yield Trip(steps, commits=True, decided=len(judgements))
    for judgement, entry_id in zip(logged, entries.ids, strict=False):
        judgement.decision.audit_id, judgement.decision.decided_at = entry_id, now
        judgement.decision.effort = judgement.effort
    return [judgement.decision for judgement in judgements]


def _with_problems(
    questions: Sequence[Question], found: Sequence[Found], reserved: Iterable[ReservedFacts], now: datetime
) -> Sequence[Found]:
    """Add why calls with an `Idempotency-Key` cannot be answered again. Few have one."""
    asked = zip(questions, found, strict=True)
    repeated = [question for question, each in asked if question.request.repeat and is_authentic(question, each, now)]
    problems = find_problems(repeated, reserved, now) if repeated else None
    if not problems:
        return found
    keys = ((question.request.repeat, question.continues) for question in questions)
    return [each._replace(problem=problems.get(key)) for each, key in zip(found, keys, strict=True)]


def _judge_first(
    questions: Sequence[Question], found: Sequence[Found], now: datetime, seconds: float
) -> list[Judgement]:
    """Judge the first questions: those that take about this many seconds in all to decide."""
    judgements: list[Judgement] = []
    left = seconds
    for question, each in zip(questions, found, strict=True):
        if left <= 0:
            break
        judgement = _judge(question, each, now)
        judgements.append(judgement)
        left -= judgement.effort
        if not judgement.is_final:
            left -= len(judgement.needed_keys()) * COUNTER_SECONDS + len(judgement.shadows) * ENTRY_SECONDS
    return judgements


def _charge_repeats(judgements: Iterable[Judgement], counters: float) -> None:
    """Charge each request that is answered again or refused for its share of the counters, read for nothing."""
    for each in judgements:
        if each.is_repeated:
            each.decision.effort += counters * COUNTER_SECONDS


def _judge(question: Question, found: Found, now: datetime) -> Judgement:
    began = perf_counter()
    judgement = judge(question, found, now)
    judgement.effort += min(LONGEST_SECONDS, perf_counter() - began)
    return judgement


def _settle(judgement: Judgement, found: Found, settling: Settling) -> list[Draft]:
    """Settle a judgement. Return the entries of shadow policies."""
    if settling.repeat(judgement):
        return []
    judgement.decision.trace = describe_trace(judgement, found, settling)
    settling.settle(judgement, found)
    return list(draft_shadows(judgement, settling)) if judgement.shadows else []


def _save(loaded: Collection[LoadedCounter | LoadedFlow]) -> Sequence[Step]:
    changed = [row for row in loaded if row.changed]
    if not changed:
        return ()
    rows = [(row.key, *(row.row() if isinstance(row, LoadedFlow) else row_of(row))) for row in changed]
    return (Step(Statement.SAVE_COUNTERS, tuple(map(list, zip(*rows, strict=True)))),)


def _create(keys: Collection[str]) -> Sequence[Step]:
    if not keys:
        return ()
    return (Step(Statement.CREATE_COUNTERS, (clock.now() + NEW_COUNTER_LIFETIME, sorted(keys))),)
