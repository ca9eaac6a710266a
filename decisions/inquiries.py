"""An inquiry: what one HTTP request asks, and how the decisions are answered.

The endpoints make inquiries. The event loop decides them in batches, also those that Django's views answer.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.actor import Actor
from core.errors import DomainError, NotAuthenticated
from core.messages import Reply, Request
from decisions.callers import anonymous_hit, count_questions, extra_hit, failure_hit, throttle_failures
from decisions.requests import Decision, VerifyRequest
from decisions.services import Ask, decide
from limits.quick_throttle import Hit
from resources.authentication import WRONG_CREDENTIAL


class Inquiry(NamedTuple):
    """The requests of one caller, and what makes the reply of their decisions. All have the same caller."""

    requests: Sequence[VerifyRequest]
    show: Callable[[Sequence[Decision]], Reply]

    @property
    def hit(self) -> Hit | None:
        """What the requests count in the throttle of verify, or None if nothing, as for most services."""
        first, cost = self.requests[0], sum(request.cost for request in self.requests)
        if first.credential:
            return extra_hit(first.actor, first.credential, cost - len(self.requests))
        return anonymous_hit(first.actor, cost)

    @property
    def failure(self) -> Hit | None:
        """What the caller's credential counts if it is wrong. None without a credential."""
        first = self.requests[0]
        return failure_hit(first.actor, first.credential) if first.credential else None

    def throttle(self) -> None:
        """Count the requests. Raises `Throttled`."""
        if hit := self.hit:
            count_questions(hit)


def answer(inquiry: Inquiry, ask: Ask | None = None) -> Reply:
    """Answer an inquiry in this thread. `ask` decides its questions elsewhere.

    Raises `Throttled`, `NotAuthenticated` for a wrong credential, and the problem of a repeated request.
    """
    inquiry.throttle()
    decisions = decide(inquiry.requests, ask)
    if is_refused(decisions):
        (throttled,) = throttle_failures([inquiry.failure] if inquiry.failure else [])
        raise throttled or NotAuthenticated(WRONG_CREDENTIAL)
    problem = find_problem(decisions)
    if problem is not None:
        raise problem
    return inquiry.show(decisions)


def is_refused(decisions: Sequence[Decision]) -> bool:
    """Return whether the caller's credential is wrong."""
    return any(decision.is_caller_refused for decision in decisions)


def find_problem(decisions: Sequence[Decision]) -> DomainError | None:
    """Return why a repeated request cannot be answered again, or None."""
    return next((decision.problem for decision in decisions if decision.problem), None)


class DirectEndpoint(NamedTuple):
    """An endpoint that the event loop answers.

    `read` returns the inquiry of a request, or its reply if nothing must be decided. It raises `NotDirect` or a
    `DomainError` if Django must answer. It must not block. `fail` returns the reply to an error and the request's id,
    which is that of Django's view. `headers` are those of all its replies.
    """

    read: Callable[[Request, Actor], Inquiry | Reply]
    fail: Callable[[BaseException, str], Reply]
    headers: Sequence[tuple[str, str]] = ()
