"""Verify: may this agent do this, for this user, now?

Requests are decided in batches; a single request is a batch of one. A batch is one transaction: it reads all facts,
counts all limits, writes the journal and commits before any decision is returned. The server decides in its event loop
(`decisions/batcher.py`). Commands and tests decide in the calling thread, by the same conversation with the database.
"""

import time
from collections.abc import Callable, Sequence

from core.metrics import report_batch, report_unknown_tokens
from decisions.questions import Question, make_question
from decisions.requests import UNKNOWN_TOKEN, Decision, VerifyRequest
from decisions.stores import django_driver

Ask = Callable[[Sequence[Question]], list[Decision]]
"""Decides questions elsewhere, such as in the event loop, which counts them in the metrics."""


def decide(requests: Sequence[VerifyRequest]) -> Sequence[Decision]:
    """Return a decision for each request, in order, after all of them are in the journal.

    An anonymous request with a token that we did not sign causes no query and no log entry. A failure raises an
    exception, so it allows nothing.
    """
    questions = [make_question(request) for request in requests]
    asked = [question for question in questions if question.needs_database]
    report_unknown_tokens(len(questions) - len(asked))
    return merge(questions, decide_questions(asked) if asked else ())


def decide_questions(questions: Sequence[Question]) -> list[Decision]:
    """Decide questions in this thread. Return the decisions in order."""
    began = time.perf_counter()
    decisions = django_driver.decide(questions)
    seconds = time.perf_counter() - began
    reasons = [decision.reason for decision in decisions if decision.is_answer]
    report_batch(reasons, [seconds] * len(reasons))
    return decisions


def merge(questions: Sequence[Question], decided: Sequence[Decision]) -> Sequence[Decision]:
    """Return the decisions of all questions, given those of the ones that need the database."""
    if len(decided) == len(questions):
        return decided
    remaining = iter(decided)
    return [next(remaining) if question.needs_database else UNKNOWN_TOKEN for question in questions]
