"""The trace of a decision: what each rule said of the request, for the resource server that asks."""

from collections.abc import Iterator

from decisions.basis import Found
from decisions.judgement import Judgement
from decisions.requests import RuleTrace
from decisions.settling import Settling
from policies.engine import CompiledPolicy, Outcome, Traced

MODE = "mode"


def describe_trace(judgement: Judgement, found: Found, settling: Settling) -> tuple[RuleTrace, ...] | None:
    """Return the trace, or None if none is wanted. Call it before the request is counted."""
    if judgement.traced is None:
        return None
    visible = {policy.id for policy in _visible(judgement, found)}
    settled = [settle_traced(each, settling) for each in judgement.traced]
    rules = (_describe(each, is_visible=each.policy.id in visible) for each in settled)
    asked = judgement.basis.asked_scopes if judgement.basis else ()
    return (*rules, *[RuleTrace(MODE, Outcome.ASKED)] * len(asked))


def settle_traced(traced: Traced, settling: Settling) -> Traced:
    """Return the outcome of a rule with counters taken into account."""
    if traced.outcome is not Outcome.PASSED:
        return traced
    limits, flow = traced.requirements
    full = settling.find_full(limits)
    if full is not None:
        detail = limits[full.index].denial
        return traced._replace(outcome=Outcome.DENIED, detail=detail, retry_after_seconds=full.retry_after_seconds)
    if flow is not None and flow.is_hit(settling.flows, settling.now):
        return traced._replace(outcome=Outcome.ASKED if flow.asks else Outcome.DENIED)
    return traced


def _visible(judgement: Judgement, found: Found) -> Iterator[CompiledPolicy]:
    """Yield the policies of the organization that asks."""
    for side in judgement.basis.sides if judgement.basis and found.service else ():
        if found.service and side.organization_id == found.service.organization_id:
            yield from side.policies


def _describe(traced: Traced, *, is_visible: bool) -> RuleTrace:
    rule = traced.rule
    if not is_visible:
        return RuleTrace(rule.type, traced.outcome)
    return RuleTrace(rule.type, traced.outcome, traced.policy.id, traced.policy.name, rule.index, traced.detail or None)
