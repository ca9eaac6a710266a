"""The engine agrees with an independent oracle over random rules, modes, limits, labels and calls, in any order."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pprint import pformat

import pytest

from core import clock
from decisions import conversation
from decisions.entries import Entries
from decisions.requests import Decision
from tests.decisions.drivers import forget
from tests.decisions.oracle.calls import Call
from tests.decisions.oracle.cases import Case, make_case
from tests.decisions.oracle.memory_store import MemoryStore
from tests.decisions.oracle.oracle import Answer, Oracle
from tests.decisions.oracle.rules import CHECKS

# 400 cases, and 20,000 in soak. To replay one that failed, write its number into `test_the_engine_agrees`.
BLOCK, BLOCKS, BLOCKS_IN_SOAK = 400, 1, 50
MANY = [pytest.param(block, marks=[pytest.mark.soak]) for block in range(BLOCKS, BLOCKS_IN_SOAK)]

SetClock = Callable[[datetime], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    moments: list[datetime] = []
    monkeypatch.setattr(clock, "now", lambda: moments[-1])
    return moments.append


@pytest.fixture(autouse=True)
def _no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the time of encoding entries that no test reads."""
    monkeypatch.setattr(conversation, "encode_entries", lambda logged, *_: Entries(["log_1"] * len(logged), []))


@pytest.mark.parametrize("block", [*range(BLOCKS), *MANY])
def test_the_engine_agrees(set_clock: SetClock, block: int) -> None:
    seen: Counter[str] = Counter()
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        answers = check(make_case(number), set_clock)
        seen.update(kind for answer in answers for kind in {answer.reason or "allowed", *answer.denied_by})
        seen["calls"] += len(answers)
    require_variety(seen)


def check(case: Case, set_clock: SetClock) -> list[Answer]:
    """Compare the oracle's answers, which are returned, with the engine's.

    The engine answers as on SQLite or, if the number is odd, as on PostgreSQL and with the rules in another order.
    """
    answers, is_serial = ask_oracle(case), case.number % 2 == 0
    asked = case if is_serial else case.shuffled()
    compare(asked, answers, ask_engine(asked, set_clock, is_serial=is_serial))
    return answers


def require_variety(seen: Counter[str]) -> None:
    """Fail if the cases are too uniform to show anything."""
    assert seen["allowed"] > seen["calls"] * 0.2, seen
    assert seen["policy_denied"] > seen["calls"] * 0.1, seen
    assert seen["approval_required"] > seen["calls"] * 0.05, seen
    assert all(seen[rule_type] > 20 for rule_type in (*CHECKS, "data_flow")), seen


def ask_oracle(case: Case) -> list[Answer]:
    oracle = Oracle(case.policies, case.services, case.labels)
    answers: list[Answer] = []
    for batch, reactions in zip(case.batches, case.reactions, strict=True):
        found = [oracle.decide(call) for call in batch]
        for call, answer, reaction in zip(batch, found, reactions, strict=True):
            if reaction and answer.asked:
                oracle.react(answer.asked, reaction, call.at)
        answers += found
    return answers


def ask_engine(case: Case, set_clock: SetClock, *, is_serial: bool) -> list[Decision]:
    forget()
    store = MemoryStore(case.policies, case.services, case.labels, is_serial)
    decisions: list[Decision] = []
    for batch, reactions in zip(case.batches, case.reactions, strict=True):
        set_clock(batch[0].at)
        found = store.decide(batch)
        for decision, reaction in zip(found, reactions, strict=True):
            if reaction and decision.reason == "approval_required" and decision.approval_id:
                store.react(decision.approval_id, reaction, batch[0].at)
        decisions += found
    return decisions


def compare(case: Case, answers: Sequence[Answer], decisions: Sequence[Decision]) -> None:
    calls = [call for batch in case.batches for call in batch]
    for number, (call, answer, decision) in enumerate(zip(calls, answers, decisions, strict=True)):
        assert agree(answer, decision), explain(case, number, call, answer, decision)


def agree(answer: Answer, decision: Decision) -> bool:
    """Return whether both say the same. Which of the rules that deny is named may depend on their order."""
    if (decision.allowed, decision.reason) != (answer.reason is None, answer.reason):
        return False
    is_right_rule = answer.reason != "policy_denied" or (
        decision.policy and decision.policy.rule_type in answer.denied_by
    )
    return bool(is_right_rule) and {*decision.missing_scopes} == answer.missing


def explain(case: Case, number: int, call: Call, answer: Answer, decision: Decision) -> str:
    said = f"{decision.reason or 'allowed'} by {decision.policy}, missing {decision.missing_scopes}"
    return (
        f"Call {number} of case {case.number}: {answer}, but the engine says {said}\n{pformat(call)}\n{pformat(case)}"
    )
