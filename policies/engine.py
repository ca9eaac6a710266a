"""The decision over policies. It knows no transport and no database.

Any rule that denies, denies the call. A rule that cannot be read or that fails denies too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from core.text import echo
from limits.sliding_window import CounterRequest
from policies.rules import Denial, RuleContext
from policies.rules.ledger import Ledger, LimitKind, subject_of
from policies.rules.parsing import parse_rule

logger = logging.getLogger(__name__)

UNREADABLE = Denial("The rule is invalid, so it denies all requests.")
FAILED = Denial("The rule failed with an error, so it denied the request.")
NO_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be asked, at its place in its policy."""

    type: str
    index: int
    check: Callable[[RuleContext], Denial | None]
    counters: Callable[[RuleContext], tuple[CounterRequest, ...]]


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy ready to be asked. Immutable: keep it as long as the policy does not change."""

    id: str
    name: str
    rules: tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class PolicyDenial:
    """The first rule that denied, by its place. `detail` is for the log."""

    policy_id: str
    policy_name: str
    rule_type: str
    rule_index: int
    detail: str
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A counter that the call must still pass, and the rule that asks for it."""

    policy: CompiledPolicy
    rule: CompiledRule
    request: CounterRequest

    def denial(self, retry_after_seconds: int) -> PolicyDenial:
        """Return the denial for when the counter has no room."""
        return _denial(self.policy, self.rule, Denial("The rate limit is exceeded.", retry_after_seconds))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Either `denied_by`, or the `limits` to count in the decision's transaction: all of them need room."""

    denied_by: PolicyDenial | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def counter_requests(self) -> tuple[CounterRequest, ...]:
        """The counters of `limits`, in the same order: the index of a `CounterDenial` fits both."""
        return tuple(limit.request for limit in self.limits)


def compile_policy(
    policy_id: str, name: str, raw_rules: Any, limit_history: Mapping[str, Any] | None = None
) -> CompiledPolicy:
    """Return a stored policy ready to be asked. What cannot be read in it becomes a rule that denies."""
    items = raw_rules if isinstance(raw_rules, list) else [raw_rules]
    try:
        ledger = Ledger.read(policy_id, limit_history or {})
    except Exception:
        logger.exception("The limits of policy %s cannot be read and deny", policy_id)
        return CompiledPolicy(policy_id, name, (_unreadable(0, None),))
    rules = (_compile_rule(ledger, index, item) for index, item in enumerate(items))
    return CompiledPolicy(policy_id, name, (*rules, *_retired_limits(ledger, len(items))))


def evaluate(policies: Sequence[CompiledPolicy], ctx: RuleContext) -> Evaluation:
    """Return what the policies say about one call. The order of rules decides only which one is named."""
    limits: list[Limit] = []
    for policy in policies:
        for rule in policy.rules:
            answer = _ask(policy, rule, ctx)
            if isinstance(answer, Denial):
                return Evaluation(denied_by=_denial(policy, rule, answer))
            limits.extend(Limit(policy, rule, request) for request in answer)
    return Evaluation(limits=tuple(limits))


def _ask(policy: CompiledPolicy, rule: CompiledRule, ctx: RuleContext) -> Denial | tuple[CounterRequest, ...]:
    """Return the rule's denial, or the counters it asks for. Whatever goes wrong in it is a denial."""
    try:
        answer = rule.check(ctx)
        if answer is None:
            return tuple(rule.counters(ctx))
        if isinstance(answer, Denial):
            return answer
        raise TypeError(f"A rule returned {type(answer).__name__}")
    except Exception:
        logger.exception("Rule %d (%s) of policy %s failed and denies", rule.index, rule.type, policy.id)
        return FAILED


def _compile_rule(ledger: Ledger, index: int, raw: Any) -> CompiledRule:
    try:
        rule = parse_rule(raw)
    except Exception:
        logger.exception("Rule %d of policy %s cannot be read and denies", index, ledger.policy_id)
        return _unreadable(index, raw)
    return CompiledRule(rule.type, index, rule.check, partial(rule.counters, ledger))


def _retired_limits(ledger: Ledger, index: int) -> Iterator[CompiledRule]:
    """Yield what an edit removed and what still counts, so that adding it again grants no new quota."""
    for kind, until in ledger.retired.items():
        yield CompiledRule("rate_limit", index, lambda ctx: None, partial(_count_retired, ledger, kind, until))


def _count_retired(ledger: Ledger, kind: LimitKind, until: datetime, ctx: RuleContext) -> tuple[CounterRequest, ...]:
    if ctx.now >= until:
        return ()
    subject = subject_of(kind.scope, agent_id=ctx.agent_id, user_id=ctx.user_id)
    return (ledger.request(kind, subject, NO_LIMIT, ctx.now),)


def _unreadable(index: int, raw: Any) -> CompiledRule:
    name = raw.get("type") if isinstance(raw, dict) else None
    return CompiledRule(echo(str(name or "unknown")), index, lambda ctx: UNREADABLE, lambda ctx: ())


def _denial(policy: CompiledPolicy, rule: CompiledRule, denial: Denial) -> PolicyDenial:
    return PolicyDenial(policy.id, policy.name, rule.type, rule.index, denial.detail, denial.retry_after_seconds)
