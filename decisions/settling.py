"""Settling of judgements in the decision's transaction, with counters that are locked: limits, flows and approvals.

A call counts against all its limits, is remembered by all guards and uses up its approval, or none of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from approvals.statuses import ApprovalStatus
from decisions.approvals import Asked, BatchApprovals, Content
from decisions.basis import Found, is_critical
from decisions.judgement import Judgement, owner
from decisions.requests import Reason, Repeat
from decisions.reservations import reserve
from limits.counting import CounterDenial, count_call, find_denial
from limits.flows import LoadedFlow
from limits.sliding_window import CounterRequest, LoadedCounter
from policies.engine import Evaluation, Flow, Outcome, PolicyDenial


class Verdict(NamedTuple):
    """What policies say of a request. `denial` is why they deny it, or what they ask the user."""

    outcome: Outcome
    evaluation: Evaluation
    denial: PolicyDenial | None = None


@dataclass(frozen=True, slots=True)
class Settling:
    """The locked rows of a batch at the time of its decisions."""

    counters: Mapping[str, LoadedCounter]
    flows: Mapping[str, LoadedFlow]
    approvals: BatchApprovals
    now: datetime
    made: dict[Repeat, Judgement] = field(default_factory=dict)
    """The judgements of repeatable requests that reserve."""

    def settle(self, judgement: Judgement, found: Found) -> None:
        """Decide finally, in the order that the API documents: policies, then approvals. Count what is allowed."""
        if found.token is None or not judgement.decision.allowed:
            return
        denial = self._find_denial(judgement.evaluation)
        if denial is not None:
            self._deny(judgement, Reason.POLICY_DENIED, denial)
            return
        asking = self._find_hit(judgement.evaluation, asks=True)
        if (asking or judgement.asked_scopes) and not self._is_approved(judgement, found, asking):
            return
        if judgement.question.request.reserve_seconds is not None:
            reserve(judgement, self.now)
            if repeat := judgement.question.request.repeat:
                self.made[repeat] = judgement
        self.count(judgement.evaluation, judgement)

    def repeat(self, judgement: Judgement) -> bool:
        """Return whether the same request has reserved in this batch. Then its decision answers this one, too."""
        repeat = judgement.question.request.repeat
        if repeat is None or not judgement.decision.allowed:
            return False
        first = self.made.get(repeat)
        if first is None:
            return False
        judgement.decision = first.decision
        judgement.is_repeated, judgement.is_logged = True, False
        return True

    def find_full(self, limits: Sequence[CounterRequest]) -> CounterDenial | None:
        """Return the denial if a limit has no room for the call, or None."""
        return find_denial(limits, self.counters, self.now) if limits else None

    def find_verdict(self, evaluation: Evaluation, *, has_user: bool) -> Verdict:
        """Return the verdict of shadow or replayed policies. To ask without a user is to deny."""
        denial = evaluation.denied_by or self._find_denial(evaluation)
        if denial is not None:
            return Verdict(Outcome.DENIED, evaluation, denial)
        asking = self._find_hit(evaluation, asks=True)
        if asking is not None:
            return Verdict(Outcome.ASKED if has_user else Outcome.DENIED, evaluation, asking.denial)
        return Verdict(Outcome.PASSED, evaluation)

    def count(self, evaluation: Evaluation, reserving: Judgement | None = None) -> None:
        """Count a call that is allowed in its limits, and remember it in its flows.

        If `reserving` has a reservation, its amounts are held, and it learns where.
        """
        until = reserving.decision.reservation_expires_at if reserving else None
        if evaluation.limits:
            count_call(evaluation.counter_requests, self.counters, self.now, until)
        if reserving and until:
            amounts = (each for each in evaluation.counter_requests if each.is_amount)
            reserving.holds += tuple((each.key, each.window_seconds) for each in amounts)
        for flow in evaluation.flows:
            flow.request.mark(self.flows, self.now)

    def _find_denial(self, evaluation: Evaluation) -> PolicyDenial | None:
        full = find_denial(evaluation.counter_requests, self.counters, self.now) if evaluation.limits else None
        if full is not None:
            return evaluation.limits[full.index].denial(full.retry_after_seconds)
        hit = self._find_hit(evaluation, asks=False)
        return hit.denial if hit else None

    def _find_hit(self, evaluation: Evaluation, *, asks: bool) -> Flow | None:
        """Return the first guard that the request would hit and that asks the user, or else denies."""
        for flow in evaluation.flows:
            if flow.request.asks == asks and flow.request.is_hit(self.flows, self.now):
                return flow
        return None

    def _is_approved(self, judgement: Judgement, found: Found, asking: Flow | None) -> bool:
        """Return whether the user has approved the request, and use the approval. Otherwise deny the request."""
        content = judgement.content
        if content is None:  # The token has no user to ask.
            self._deny(judgement, Reason.POLICY_DENIED, asking.denial if asking else None)
            return False
        is_grave = any(is_critical(scope, found) for scope in judgement.asked_scopes)
        rule_type = asking.rule.type if asking else ""
        approval = self.approvals.find(
            content, judgement.asked_scopes, rule_type, once_only=is_grave or bool(found.chain)
        )
        if approval is not None and approval.status == ApprovalStatus.APPROVED:
            self.approvals.use(approval)
            judgement.decision.approval_id = approval.approval_id
            return True
        self._deny(judgement, Reason.APPROVAL_REQUIRED, asking.denial if asking else None)
        judgement.decision.approval_status = ApprovalStatus.PENDING
        if approval is not None:
            judgement.decision.approval_id = approval.approval_id
            judgement.decision.approval_status = ApprovalStatus(approval.status)
        else:
            self._ask(judgement, content, rule_type, is_critical=is_grave)
        return False

    def _ask(self, judgement: Judgement, content: Content, rule_type: str, *, is_critical: bool) -> None:
        asked = Asked(
            judgement.asked_scopes,
            rule_type,
            is_critical=is_critical,
            organization_id=judgement.organization_id,
            service_organization_id=judgement.service_organization_id,
        )
        counter = self.counters[content.counter.key]
        judgement.decision.approval_id = self.approvals.ask(content, asked, counter)
        if judgement.decision.approval_id is None:
            judgement.decision.approval_status = None
            judgement.decision.retry_after_seconds = counter.retry_after(content.counter.limit, self.now)

    @staticmethod
    def _deny(judgement: Judgement, reason: Reason, denial: PolicyDenial | None) -> None:
        decision = judgement.decision
        decision.allowed, decision.reason, decision.policy = False, reason, denial
        decision.retry_after_seconds = denial.retry_after_seconds if denial else None
        judgement.denying_organization_id = owner(denial, judgement)
