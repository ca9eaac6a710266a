"""Evaluation of policies, independent of HTTP and of the database.

A request is denied as soon as one rule denies it. A rule that cannot be read, or that raises, denies too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from core.text import echo
from limits.sliding_window import CounterRequest
from policies.rules import Denial, Rule, RuleContext
from policies.rules.ledger import Ledger, LimitKind, subject_of
from policies.rules.parsing import parse_rule

logger = logging.getLogger(__name__)

UNREADABLE = Denial("The rule is invalid, so it denies all requests.")
FAILED = Denial("The rule failed with an error, so it denied the request.")
NO_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A parsed rule with its index in its policy. `counters` is None if the rule limits nothing, as most rules."""

    type: str
    index: int
    check: Callable[[RuleContext], Denial | None]
    counters: Callable[[RuleContext], tuple[CounterRequest, ...]] | None = None


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy with its parsed rules. Immutable, so it can be cached until the policy changes."""

    id: str
    name: str
    rules: tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class PolicyDenial:
    """The first rule that denied the request. `detail` is for the log."""

    policy_id: str
    policy_name: str
    rule_type: str
    rule_index: int
    detail: str
    retry_after_seconds: int | None = None


class Limit(NamedTuple):
    """A counter that the request must still pass, and the rule that requires it."""

    policy: CompiledPolicy
    rule: CompiledRule
    request: CounterRequest

    def denial(self, retry_after_seconds: int | None) -> PolicyDenial:
        """Return the denial to use if the counter is full."""
        return _denial(self.policy, self.rule, Denial(self.request.denial, retry_after_seconds))


class Evaluation(NamedTuple):
    """Either `denied_by`, or the `limits` to count in the decision's transaction, none of which may be full."""

    denied_by: PolicyDenial | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def counter_requests(self) -> tuple[CounterRequest, ...]:
        """The counters of `limits`, in the same order, so that the index of a `CounterDenial` applies to both."""
        return tuple(limit.request for limit in self.limits)


def compile_policy(
    policy_id: str, name: str, raw_rules: Any, limit_history: Mapping[str, Any] | None = None
) -> CompiledPolicy:
    """Return a stored policy, parsed. Any part that cannot be read becomes a rule that denies."""
    items = raw_rules if isinstance(raw_rules, list) else [raw_rules]
    try:
        ledger = Ledger.read(policy_id, {} if limit_history is None else limit_history)
    except Exception:
        logger.exception("The limits of policy %s cannot be read and deny", policy_id)
        return deny_all(policy_id, name)
    rules = (_compile_rule(ledger, index, item) for index, item in enumerate(items))
    return CompiledPolicy(policy_id, name, (*rules, *_retired_limits(ledger, len(items))))


def deny_all(policy_id: str, name: str) -> CompiledPolicy:
    """Return what replaces a policy that cannot be read: it denies all requests."""
    return CompiledPolicy(policy_id, name, (_unreadable(0, None),))


def evaluate(policies: Sequence[CompiledPolicy], ctx: RuleContext) -> Evaluation:
    """Evaluate one request. The order of the rules determines only which denial is reported."""
    limits: list[Limit] = []
    for policy in policies:
        for rule in policy.rules:
            result = _apply(policy, rule, ctx)
            if isinstance(result, Denial):
                return Evaluation(denied_by=_denial(policy, rule, result))
            limits += [Limit(policy, rule, request) for request in result]
    return Evaluation(limits=tuple(limits))


def _apply(policy: CompiledPolicy, rule: CompiledRule, ctx: RuleContext) -> Denial | tuple[CounterRequest, ...]:
    """Return the rule's denial, or the counters it requires. Any exception in the rule is a denial."""
    try:
        denial = rule.check(ctx)
        if denial is None:
            return tuple(rule.counters(ctx)) if rule.counters else ()
        if isinstance(denial, Denial):
            return denial
        raise TypeError(f"A rule returned {type(denial).__name__}")
    except Exception:
        logger.exception("Rule %d (%s) of policy %s failed and denies", rule.index, rule.type, policy.id)
        return FAILED


def _compile_rule(ledger: Ledger, index: int, raw: Any) -> CompiledRule:
    try:
        rule = parse_rule(raw)
    except Exception:
        logger.exception("Rule %d of policy %s cannot be read and denies", index, ledger.policy_id)
        return _unreadable(index, raw)
    limits_something = type(rule).counters is not Rule.counters
    return CompiledRule(rule.type, index, rule.check, partial(rule.counters, ledger) if limits_something else None)


def _retired_limits(ledger: Ledger, index: int) -> Iterator[CompiledRule]:
    """Yield the limits that an edit removed. They keep counting, so that adding them again grants no new quota."""
    for kind, until in ledger.retired.items():
        yield CompiledRule("rate_limit", index, lambda ctx: None, partial(_count_retired, ledger, kind, until))


def _count_retired(ledger: Ledger, kind: LimitKind, until: datetime, ctx: RuleContext) -> tuple[CounterRequest, ...]:
    if ctx.now >= until:
        return ()
    subject = subject_of(kind.scope, agent_id=ctx.agent_id, user_id=ctx.user_id)
    return (ledger.request(kind, subject, NO_LIMIT, ctx.now),)


def _unreadable(index: int, raw: Any) -> CompiledRule:
    name = raw.get("type") if isinstance(raw, dict) else None
    return CompiledRule(echo(str(name or "unknown")), index, lambda ctx: UNREADABLE)


def _denial(policy: CompiledPolicy, rule: CompiledRule, denial: Denial) -> PolicyDenial:
    return PolicyDenial(policy.id, policy.name, rule.type, rule.index, denial.detail, denial.retry_after_seconds)
