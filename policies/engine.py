"""The decision over policies. It knows no transport and no database.

Any rule that denies, denies the call. A rule that cannot be read or that fails denies too.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.sliding_window import CounterRequest
from policies.rules import Denial, RuleContext
from policies.rules.parsing import echo, parse_rule

logger = logging.getLogger(__name__)

UNREADABLE = Denial("The rule cannot be read, so nothing passes it.")
FAILED = Denial("The rule failed, so nothing passes it.")


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be asked, at its place in its policy."""

    type: str
    index: int
    check: Callable[[RuleContext], Denial | None]
    counters: Callable[[str, RuleContext], tuple[CounterRequest, ...]]


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
        return _denial(self.policy, self.rule, Denial("The limit is reached.", retry_after_seconds))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Either `denied_by`, or the `limits` to count in the decision's transaction: all of them need room."""

    denied_by: PolicyDenial | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def counter_requests(self) -> tuple[CounterRequest, ...]:
        """The counters of `limits`, in the same order: the index of a `CounterDenial` fits both."""
        return tuple(limit.request for limit in self.limits)


def compile_policy(policy_id: str, name: str, raw_rules: Any) -> CompiledPolicy:
    """Return a stored policy ready to be asked. What cannot be read in it becomes a rule that denies."""
    items = raw_rules if isinstance(raw_rules, list) else [raw_rules]
    rules = (_compile_rule(policy_id, index, item) for index, item in enumerate(items))
    return CompiledPolicy(policy_id, name, tuple(rules))


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
            return tuple(rule.counters(policy.id, ctx))
        if isinstance(answer, Denial):
            return answer
        raise TypeError(f"A rule answered {type(answer).__name__}")
    except Exception:
        logger.exception("Rule %d (%s) of policy %s failed and denies", rule.index, rule.type, policy.id)
        return FAILED


def _compile_rule(policy_id: str, index: int, raw: Any) -> CompiledRule:
    try:
        rule = parse_rule(raw)
    except Exception:
        logger.exception("Rule %d of policy %s cannot be read and denies", index, policy_id)
        return _unreadable(index, raw)
    return CompiledRule(rule.type, index, rule.check, rule.counters)


def _unreadable(index: int, raw: Any) -> CompiledRule:
    name = raw.get("type") if isinstance(raw, dict) else None
    return CompiledRule(echo(str(name or "unknown")), index, lambda ctx: UNREADABLE, lambda policy_id, ctx: ())


def _denial(policy: CompiledPolicy, rule: CompiledRule, denial: Denial) -> PolicyDenial:
    return PolicyDenial(policy.id, policy.name, rule.type, rule.index, denial.detail, denial.retry_after_seconds)
