"""Verify: may this agent do this, for this user, now?

Requests are decided in batches; a single request is a batch of one. A batch is one transaction: it reads all facts,
counts all limits, writes all log entries and commits before any decision is returned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from audit.events import Event, Outcome
from audit.records import Draft
from audit.services import append
from core import clock
from core.locks import deciding
from decisions.checks import first_reason, missing_scopes
from decisions.contexts import context_for_log
from decisions.facts import Asked, DeletedToken, Facts, load_facts
from decisions.requests import UNKNOWN_TOKEN, Decision, Reason, VerifyRequest
from limits.counters import lock_counters, save_counters
from limits.counting import take_call
from limits.sliding_window import LoadedCounter
from policies.engine import Limit, PolicyDenial, evaluate
from policies.rules import RuleContext
from tokens.access_tokens import Claims, read_access_token

# The response has all missing scopes, and the entry all required ones, so the log needs no second long list.
MAX_LOGGED_MISSING = 10


@dataclass(slots=True)
class Question:
    """A request about a token that we signed, with its decision so far. `limits` must still be counted."""

    request: VerifyRequest
    claims: Claims
    facts: Facts | DeletedToken
    decision: Decision
    limits: tuple[Limit, ...] = ()


def decide(requests: Sequence[VerifyRequest]) -> list[Decision]:
    """Return a decision for each request, in order, after all of them are logged.

    A token that we did not sign causes no query and no log entry. A failure raises an exception, so it allows nothing.
    """
    claims = [read_access_token(request.token) for request in requests]
    known = [(request, claim) for request, claim in zip(requests, claims, strict=True) if claim is not None]
    decided = iter(_decide_known(known) if known else ())
    return [UNKNOWN_TOKEN if claim is None else next(decided) for claim in claims]


def _decide_known(known: Sequence[Asked]) -> list[Decision]:
    with deciding():
        facts = load_facts(known)
        now = clock.now()
        questions = [_evaluate(*asked, facts_, now) for asked, facts_ in zip(known, facts, strict=True)]
        _count(questions)
        # Read the clock again, because `_count` may have waited for a lock and the log has the time of the decision.
        return _record(questions, clock.now())


def _evaluate(request: VerifyRequest, claims: Claims, facts: Facts | DeletedToken, now: datetime) -> Question:
    """Decide everything except the limits."""
    if isinstance(facts, DeletedToken):
        return _decide_deleted(request, claims, facts, now)
    reason = first_reason(facts, request, now)
    if reason is not None:
        missing = missing_scopes(facts, request.required_scopes)
        decision = _describe(facts, reason=reason, missing=missing if reason is Reason.INSUFFICIENT_SCOPE else ())
        return Question(request, claims, facts, decision)
    evaluation = evaluate(facts.policies, _rule_context(request, facts, now))
    if evaluation.denied_by is not None:
        return Question(request, claims, facts, _describe(facts, policy=evaluation.denied_by))
    return Question(request, claims, facts, _describe(facts), evaluation.limits)


def _count(questions: Sequence[Question]) -> None:
    """Count the limits of the whole batch. A request that exceeds one is denied and does not count."""
    counters = lock_counters(limit.request for question in questions for limit in question.limits)
    now = clock.now()
    for question in questions:
        _take(question, counters, now)
    save_counters(counters.values())


def _take(question: Question, counters: Mapping[str, LoadedCounter], now: datetime) -> None:
    denial = take_call([limit.request for limit in question.limits], counters, now)
    if denial is not None and isinstance(question.facts, Facts):
        policy = question.limits[denial.index].denial(denial.retry_after_seconds)
        question.decision = _describe(question.facts, policy=policy)


def _record(questions: Sequence[Question], now: datetime) -> list[Decision]:
    ids = append([_draft(question) for question in questions], at=now)
    return [replace(question.decision, audit_id=audit_id) for question, audit_id in zip(questions, ids, strict=True)]


def _decide_deleted(request: VerifyRequest, claims: Claims, facts: DeletedToken, now: datetime) -> Question:
    reason = Reason.TOKEN_EXPIRED if claims.expires_at <= now else Reason.TOKEN_REVOKED
    decision = Decision(
        allowed=False,
        reason=reason,
        user_id=claims.user_id,
        agent_id=facts.agent.id if facts.agent else None,
        client_id=claims.client_id,
        consent_id=claims.consent_id,
        expires_at=claims.expires_at,
    )
    return Question(request, claims, facts, decision)


def _describe(
    facts: Facts,
    *,
    reason: Reason | None = None,
    missing: tuple[str, ...] = (),
    policy: PolicyDenial | None = None,
) -> Decision:
    return Decision(
        allowed=reason is None and policy is None,
        reason=Reason.POLICY_DENIED if policy else reason,
        user_id=facts.token.user_id,
        agent_id=facts.token.application_id,
        client_id=facts.token.application.client_id,
        consent_id=facts.token.family.consent_id,
        granted_scopes=facts.granted_scopes,
        expires_at=facts.token.expires,
        missing_scopes=missing,
        policy=policy,
    )


def _rule_context(request: VerifyRequest, facts: Facts, now: datetime) -> RuleContext:
    return RuleContext(
        now=now,
        agent_id=facts.token.application_id,
        scopes=tuple(request.required_scopes),
        action=request.action,
        resource=request.resource,
        ip=request.ip,
        context=request.context,
        user_id=facts.token.user_id,
        organization_id=facts.organization_id,
    )


def _draft(question: Question) -> Draft:
    request, decision = question.request, question.decision
    facts, policy = question.facts, decision.policy
    return Draft(
        event=Event.TOKEN_VERIFY,
        outcome=Outcome.ALLOWED if decision.allowed else Outcome.DENIED,
        actor=request.asker,
        organization_id=facts.organization_id,
        service_organization_ids=(facts.service_organization_id,) if facts.service_organization_id else (),
        user_id=decision.user_id,
        agent_id=decision.agent_id,
        consent_id=decision.consent_id,
        policy_id=policy.policy_id if policy else None,
        policy_organization_id=facts.owner_of(policy) if isinstance(facts, Facts) else None,
        reason=decision.reason,
        action=request.action,
        scopes=tuple(request.required_scopes),
        resource=request.resource,
        metadata=_metadata(question),
        personal=_personal(request),
    )


def _personal(request: VerifyRequest) -> dict[str, object]:
    forwarded = {"forwardedUserAgent": request.actor.user_agent} if request.is_forwarded else {}
    return {
        "ip": request.ip,
        "callerIp": request.asker.ip,
        "context": context_for_log(request.context),
        **forwarded,
    }


def _metadata(question: Question) -> dict[str, object]:
    decision, policy = question.decision, question.decision.policy
    metadata: dict[str, object] = {"tokenId": question.claims.token_id}
    if decision.missing_scopes:
        metadata["missingScopes"] = list(decision.missing_scopes[:MAX_LOGGED_MISSING])
    if policy is not None:
        metadata["ruleType"] = policy.rule_type
        metadata["ruleIndex"] = policy.rule_index
        metadata["policyName"] = policy.policy_name
        metadata["detail"] = policy.detail
    return metadata
