"""Suggested rules: the smallest rule that would have answered an agent's questions as the user did.

Pure. A rule is about one target: the same permission, action, resource, service, audience, currency and fields
(`approvals.statuses.fixed_fields`). Its ceiling is the highest amount that the user approved, below the lowest that
they refused. Its number per day is the largest number of these questions within any 24 hours. So no question that they
refused passes, and less evidence of approval never gives a wider rule. Questions about critical scopes, and those of a
rule that asks, such as a guard against data flows, do not count as evidence, and no suggested rule answers them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import groupby

from approvals.statuses import RULE_WINDOW_SECONDS
from core.money import Amount
from limits.sliding_window import LoadedCounter

# With fewer approvals, the pattern may be a coincidence.
MIN_EVIDENCE = 5


class Answer(Enum):
    """How a question was answered. One that was not decided in time says nothing about what the user wants."""

    APPROVED = "approved"
    REFUSED = "refused"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the past. `target` is a digest of what a rule fixes.

    `reasons` are the scopes that asked. `is_evidence` is false if no rule may follow from the user's approval.
    """

    id: str
    consent_id: str
    target: str
    answer: Answer
    amount: Amount | None
    reasons: frozenset[str]
    is_evidence: bool
    at: datetime

    @property
    def units(self) -> int:
        """The amount in units of 10**-8, or 0 if there is none."""
        return self.amount.units if self.amount else 0


@dataclass(frozen=True)
class SuggestedRule:
    """A rule with its evidence: all questions about its target, newest first, to which `example` belongs.

    `ceiling` is the highest amount that passes, or None if the questions have no amount. At most `per_day` questions
    pass within 24 hours.
    """

    example: Question
    ceiling: Amount | None
    per_day: int
    questions: Sequence[Question]

    @property
    def units(self) -> int:
        """The ceiling in units of 10**-8, or 0 if there is none."""
        return self.ceiling.units if self.ceiling else 0

    def covers(self, question: Question) -> bool:
        """Return whether the rule would allow the question, leaving aside the number per day."""
        is_same = question.is_evidence and question.target == self.example.target
        return is_same and question.reasons <= self.example.reasons and question.units <= self.units

    @cached_property
    def passed(self) -> frozenset[str]:
        """The ids of the questions that the rule would have allowed, counted as verify counts them."""
        covered = sorted((each for each in self.questions if self.covers(each)), key=lambda each: (each.at, each.id))
        counter, passed = LoadedCounter("", RULE_WINDOW_SECONDS), set()
        for each in covered:
            if counter.room(self.per_day, each.at):
                counter.take(1, each.at)
                passed.add(each.id)
        return frozenset(passed)

    @property
    def evidence(self) -> set[str]:
        """The ids of the approved questions from which the rule follows."""
        approved = (each for each in self.questions if each.answer is Answer.APPROVED and self.covers(each))
        return {each.id for each in approved if each.reasons == self.example.reasons}

    @property
    def answered(self) -> int:
        """How many questions the rule would have answered as the user did, without asking."""
        return sum(each.id in self.passed and each.answer is Answer.APPROVED for each in self.questions)

    @property
    def undecided(self) -> int:
        """How many questions the rule would have allowed that the user did not decide in time."""
        return sum(each.id in self.passed and each.answer is Answer.NONE for each in self.questions)


def suggest_rules(questions: Iterable[Question], consent_id: str) -> list[SuggestedRule]:
    """Return the rules that follow from the questions for a connection, the one with the most evidence first.

    The questions are those of one agent, also under earlier connections. At least one approved example must belong to
    this one.
    """
    by_target = sorted(questions, key=lambda each: (each.target, each.at, each.id), reverse=True)
    groups = [list(group) for _, group in groupby(by_target, key=lambda each: each.target)]
    found = [rule for group in groups for rule in _rules_of(group, consent_id)]
    return sorted(found, key=lambda rule: (-rule.answered, rule.example.id))


def _rules_of(group: Sequence[Question], consent_id: str) -> Iterable[SuggestedRule]:
    """Yield a rule for each set of reasons: it must not answer a reason that its examples did not have."""
    refused = min((each.units for each in group if each.answer is Answer.REFUSED), default=None)
    approved = [each for each in group if each.answer is Answer.APPROVED and each.is_evidence]
    below = [each for each in approved if refused is None or each.units < refused]
    for reasons in sorted({each.reasons for each in below}, key=sorted):
        evidence = [each for each in below if each.reasons == reasons]
        example = next((each for each in evidence if each.consent_id == consent_id), None)
        if example is not None and len(evidence) >= MIN_EVIDENCE:
            highest = max(evidence, key=lambda each: each.units)
            yield SuggestedRule(example, highest.amount, most_per_day([each.at for each in evidence]), group)


def most_per_day(times: Iterable[datetime]) -> int:
    """Return the largest number of these times within any 24 hours."""
    ordered, most, first = sorted(times), 0, 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= timedelta(seconds=RULE_WINDOW_SECONDS):
            first += 1
        most = max(most, last - first + 1)
    return most
