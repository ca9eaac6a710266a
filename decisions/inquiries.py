"""An inquiry: what one HTTP request asks, and how it is answered.

`inquire` is a generator that yields what it needs and receives the answers, like `converse`. The event loop
(`server/front/hot.py`) and Django's views (`answer`) meet its needs, each in its own way.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, assert_never

from core.actor import Actor
from core.errors import NotAuthenticated
from core.messages import Reply, Request
from core.metrics import report_unknown_tokens
from decisions.callers import anonymous_hit, count_failure, count_questions, extra_hit, failure_hit
from decisions.questions import Question, make_question
from decisions.requests import Decision, VerifyRequest
from decisions.services import Ask, decide_questions, merge
from limits.quick_throttle import Hit
from resources.authentication import WRONG_CREDENTIAL
from tokens.keys import KeyNotLoaded, known_key, load_newer_keys, loaded_key


class Inquiry(NamedTuple):
    """The requests of one caller, and the function that makes the reply from their decisions."""

    requests: Sequence[VerifyRequest]
    show: Callable[[Sequence[Decision]], Reply]

    @property
    def hit(self) -> Hit | None:
        """The hit in the throttle of verify, or None if the requests do not count, as for most services."""
        first, cost = self.requests[0], sum([request.cost for request in self.requests])
        if first.credential:
            return extra_hit(first.actor, first.credential, cost - len(self.requests))
        return anonymous_hit(first.actor, cost)

    @property
    def failure(self) -> Hit | None:
        """The hit if the caller's credential is wrong. None without a credential."""
        first = self.requests[0]
        return failure_hit(first.actor, first.credential) if first.credential else None


class Throttle(NamedTuple):
    """Count the caller's requests."""

    hit: Hit


class ReadNewerKeys(NamedTuple):
    """Read the signing keys that are newer than this process."""


class Decide(NamedTuple):
    """Decide the questions. The answer is their decisions, in order."""

    questions: Sequence[Question]


class CountFailure(NamedTuple):
    """Count a wrong credential."""

    hit: Hit


Need = Throttle | ReadNewerKeys | Decide | CountFailure
Inquiring = Generator[Need, Any, Reply]
"""Yields needs, and returns the reply. An error that meeting a need raises is the answer to the caller."""


def inquire(inquiry: Inquiry) -> Inquiring:
    """Answer an inquiry. Checking signatures takes time, so the caller is throttled first.

    Raises `NotAuthenticated` for a wrong credential, and the problem of a repeated request.
    """
    if hit := inquiry.hit:
        yield Throttle(hit)
    try:
        questions = [make_question(request, loaded_key) for request in inquiry.requests]
    except KeyNotLoaded:
        yield ReadNewerKeys()
        questions = [make_question(request, known_key) for request in inquiry.requests]
    asked = [question for question in questions if question.needs_database]
    report_unknown_tokens(len(questions) - len(asked))
    decided = (yield Decide(asked)) if asked else ()
    for decision in decided:
        if decision.is_caller_refused:
            if failure := inquiry.failure:
                yield CountFailure(failure)
            raise NotAuthenticated(WRONG_CREDENTIAL)
        if decision.problem:
            raise decision.problem
    return inquiry.show(merge(questions, decided))


def answer(inquiry: Inquiry, ask: Ask | None = None) -> Reply:
    """Answer an inquiry in this thread. `ask` decides its questions elsewhere.

    Raises what `inquire` and meeting its needs raise, such as `Throttled`.
    """
    inquiring = inquire(inquiry)
    answered: Sequence[Decision] | None = None
    while True:
        try:
            need = inquiring.send(answered)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        answered = _meet(need, ask or decide_questions)


def _meet(need: Need, ask: Ask) -> Sequence[Decision]:
    """Meet a need. Return the decisions, if it is for these."""
    match need:
        case Decide():
            return ask(need.questions)
        case Throttle():
            count_questions(need.hit)
        case CountFailure():
            count_failure(need.hit)
        case ReadNewerKeys():
            load_newer_keys()
        case _:
            assert_never(need)
    return ()


class DirectEndpoint(NamedTuple):
    """An endpoint that the event loop answers.

    `read` returns the inquiry of a request, or its reply if nothing must be decided. It raises `NotDirect` or a
    `DomainError` if Django must answer. It must not block. `fail` returns the reply to an error and the request's id,
    which is that of Django's view. `headers` are those of all its replies.
    """

    read: Callable[[Request, Actor], Inquiry | Reply]
    fail: Callable[[BaseException, str], Reply]
    headers: Sequence[tuple[str, str]] = ()
