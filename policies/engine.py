"""Evaluation of policies, independent of HTTP and of the database.

A request is denied as soon as one rule denies it. A rule that cannot be read, or that raises, denies too.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from core.money import read_amount
from core.text import echo
from limits.counting import Room
from limits.flows import FlowRequest
from limits.sliding_window import CounterRequest
from policies.rules import Denial, Rule, RuleContext
from policies.rules.budget import TooCostly
from policies.rules.kinds import LimitKind
from policies.rules.ledger import Ledger, subject_of
from policies.rules.parsing import parse_rule

logger = logging.getLogger(__name__)

UNREADABLE = Denial("The rule is invalid, so it denies all requests.")
TOO_COSTLY = Denial(
    "The policies take too long for this request: too many scopes, too many calls in its batch, or lists too long."
)
FAILED = Denial("The rule failed with an error, so it denied the request.")
TOO_MANY_COUNTERS = Denial("More limits concern the request, or its batch, than can be counted at once.")
FLOWS = "The task has read private data and content that others wrote, so data must not leave without a decision."


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A parsed rule with its index in its policy.

    `counters` and `flow` are None if the rule limits nothing and guards no flow, which is true of most
    rules. `concerns` is None if it concerns every request. A retired rule only goes on counting. If a rule does not
    depend on the agent, one evaluation is enough for a call of several agents.
    """

    type: str
    index: int
    check: Callable[[RuleContext], Denial | None]
    counters: Callable[[RuleContext], tuple[CounterRequest, ...]] | None = None
    flow: Callable[[RuleContext], FlowRequest | None] | None = None
    concerns: Callable[[RuleContext], bool] | None = None
    is_retired: bool = False
    depends_on_agent: bool = True


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy with its parsed rules. Immutable, so it can be cached until the policy changes."""

    id: str
    name: str
    rules: tuple[CompiledRule, ...]

    @property
    def has_flows(self) -> bool:
        """Whether a rule needs the labels of scopes."""
        return any(rule.flow for rule in self.rules)

    def by_agent(self) -> "CompiledPolicy":
        """Return only the rules that depend on the agent."""
        rules = tuple(rule for rule in self.rules if rule.depends_on_agent)
        return self if len(rules) == len(self.rules) else replace(self, rules=rules)


@dataclass(frozen=True, slots=True)
class PolicyDenial:
    """The first rule that denied the request, or that asks for an approval. `detail` is for the log."""

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
        return describe_denial(self.policy, self.rule, Denial(self.request.denial, retry_after_seconds))

    @property
    def crowded(self) -> PolicyDenial:
        """The denial to use if the call or its request needs too many counters."""
        return describe_denial(self.policy, self.rule, TOO_MANY_COUNTERS)


class Flow(NamedTuple):
    """A guard against data flows that the request must still pass, and the rule that requires it."""

    policy: CompiledPolicy
    rule: CompiledRule
    request: FlowRequest

    @property
    def denial(self) -> PolicyDenial:
        """The denial, or what the user is asked for, if the guard is hit."""
        return describe_denial(self.policy, self.rule, Denial(FLOWS))

    @property
    def crowded(self) -> PolicyDenial:
        """The denial to use if the call or its request needs too many counters."""
        return describe_denial(self.policy, self.rule, TOO_MANY_COUNTERS)


class Requirements(NamedTuple):
    """What must still be settled in the decision's transaction: limits to count, and guards against data flows."""

    limits: Sequence[CounterRequest] = ()
    flow: FlowRequest | None = None

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all rows that they read."""
        flow = self.flow.keys if self.flow else ()
        return [*[key for limit in self.limits for key in limit.keys], *flow]


NOTHING = Requirements()


class Evaluation(NamedTuple):
    """Either `denied_by`, or the `limits` and `flows` to settle in the decision's transaction.

    `counter_requests` are those of `limits`, in the same order, so that the index of a `CounterDenial` applies to both.
    """

    denied_by: PolicyDenial | None = None
    limits: tuple[Limit, ...] = ()
    flows: tuple[Flow, ...] = ()
    counter_requests: tuple[CounterRequest, ...] = ()

    def joined(self, other: "Evaluation") -> "Evaluation":
        """Return the evaluation by the policies of both. This one must not be a denial."""
        if other.denied_by is not None or not (self.limits or self.flows):
            return other
        requests = self.counter_requests + other.counter_requests
        return Evaluation(None, self.limits + other.limits, self.flows + other.flows, requests)

    def within(self, rooms: Collection[Room]) -> "Evaluation":
        """Return the evaluation, or a denial by the first rule whose counters do not fit in all rooms."""
        requirements: tuple[Limit | Flow, ...] = (*self.limits, *self.flows)
        for required in requirements:
            if not all(room.take(required.request.keys) for room in rooms):
                return Evaluation(required.crowded)
        return self


PASSED = Evaluation()
"""The evaluation of a request that all policies allow, with nothing left to settle."""


class Outcome(StrEnum):
    """What a rule says of a request."""

    PASSED = "passed"
    DENIED = "denied"
    ASKED = "asked"
    NOT_CONCERNED = "not_concerned"


class Traced(NamedTuple):
    """A rule with its outcome. One that passed may still have requirements, which `settle` in decisions settles."""

    policy: CompiledPolicy
    rule: CompiledRule
    outcome: Outcome
    detail: str = ""
    retry_after_seconds: int | None = None
    requirements: Requirements = NOTHING

    def within(self, rooms: Collection[Room]) -> "Traced":
        """Return the outcome, or a denial if the rule's counters do not fit in all rooms."""
        if all(room.take(self.requirements.keys) for room in rooms):
            return self
        return self._replace(outcome=Outcome.DENIED, detail=TOO_MANY_COUNTERS.detail, requirements=NOTHING)


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
    rules = (_compile_raw(ledger, index, item) for index, item in enumerate(items))
    return CompiledPolicy(policy_id, name, (*rules, *retired_limits(ledger, len(items))))


def deny_all(policy_id: str, name: str) -> CompiledPolicy:
    """Return what replaces a policy that cannot be read: it denies all requests."""
    return CompiledPolicy(policy_id, name, (_unreadable(0, None),))


def evaluate(policies: Sequence[CompiledPolicy], ctx: RuleContext, room: Room | None = None) -> Evaluation:
    """Evaluate one request. The order of the rules determines only which denial is reported.

    `room` is for the counters of the call. Beyond it, the first rule whose counters do not fit denies.
    """
    limits: list[Limit] = []
    flows: list[Flow] = []
    for policy in policies:
        for rule in policy.rules:
            result = _apply(policy, rule, ctx)
            if result is None or result is NOTHING:
                continue
            if isinstance(result, Denial):
                return Evaluation(describe_denial(policy, rule, result))
            if room is not None and not room.take(result.keys):
                return Evaluation(describe_denial(policy, rule, TOO_MANY_COUNTERS))
            limits += [Limit(policy, rule, request) for request in result.limits]
            if result.flow is not None:
                flows.append(Flow(policy, rule, result.flow))
    if not limits and not flows:
        return PASSED
    return Evaluation(None, tuple(limits), tuple(flows), tuple([limit.request for limit in limits]))


def trace(policies: Sequence[CompiledPolicy], ctx: RuleContext) -> list[Traced]:
    """Return what each rule says of one request, also after one has denied it."""
    return [_trace(policy, rule, ctx) for policy in policies for rule in policy.rules if not rule.is_retired]


def describe_denial(policy: CompiledPolicy, rule: CompiledRule, denial: Denial) -> PolicyDenial:
    return PolicyDenial(policy.id, policy.name, rule.type, rule.index, denial.detail, denial.retry_after_seconds)


def _trace(policy: CompiledPolicy, rule: CompiledRule, ctx: RuleContext) -> Traced:
    result = _apply(policy, rule, ctx)
    if result is None:
        return Traced(policy, rule, Outcome.NOT_CONCERNED)
    if isinstance(result, Denial):
        return Traced(policy, rule, Outcome.DENIED, result.detail, result.retry_after_seconds)
    return Traced(policy, rule, Outcome.PASSED, requirements=result)


def _apply(policy: CompiledPolicy, rule: CompiledRule, ctx: RuleContext) -> Denial | Requirements | None:
    """Return the rule's denial, what it requires, or None if it does not concern the request.

    Any exception in the rule is a denial.
    """
    try:
        if rule.concerns is not None and not rule.concerns(ctx):
            return None
        denial = rule.check(ctx)
        if denial is None:
            return NOTHING if rule.counters is None and rule.flow is None else _requirements(rule, ctx)
        if isinstance(denial, Denial):
            return denial
        raise TypeError(f"A rule returned {type(denial).__name__}")
    except TooCostly:
        return TOO_COSTLY
    except Exception:
        logger.exception("Rule %d (%s) of policy %s failed and denies", rule.index, rule.type, policy.id)
        return FAILED


def _requirements(rule: CompiledRule, ctx: RuleContext) -> Requirements:
    limits = tuple(rule.counters(ctx)) if rule.counters else ()
    return Requirements(limits, rule.flow(ctx) if rule.flow else None)


def compile_rule(rule: Rule, ledger: Ledger, index: int) -> CompiledRule:
    """Return a rule with what the engine calls. Its counters are those of the ledger."""
    kind = type(rule)
    return CompiledRule(
        rule.type,
        index,
        rule.check,
        partial(rule.counters, ledger) if kind.counters is not Rule.counters else None,
        partial(rule.flow, ledger) if kind.flow is not Rule.flow else None,
        rule.concerns if rule.actions else None,
        depends_on_agent=rule.depends_on_agent,
    )


def _compile_raw(ledger: Ledger, index: int, raw: Any) -> CompiledRule:
    try:
        return compile_rule(parse_rule(raw), ledger, index)
    except Exception:
        logger.exception("Rule %d of policy %s cannot be read and denies", index, ledger.policy_id)
        return _unreadable(index, raw)


def retired_limits(ledger: Ledger, index: int) -> Iterator[CompiledRule]:
    """Yield the limits that an edit removed. They keep counting, so that adding them again grants no new quota."""
    for kind, until in ledger.retired.items():
        count = partial(_count_retired, ledger, kind, until)
        yield CompiledRule("rate_limit", index, lambda ctx: None, count, is_retired=True)


def _count_retired(ledger: Ledger, kind: LimitKind, until: datetime, ctx: RuleContext) -> tuple[CounterRequest, ...]:
    if ctx.now >= until:
        return ()
    subject = subject_of(kind.scope, agent_id=ctx.agent_id, user_id=ctx.user_id)
    amount = read_amount(ctx.context.get("amount")) if kind.currency else None
    return ledger.retired_requests(kind, subject, ctx.asked, amount)


def _unreadable(index: int, raw: Any) -> CompiledRule:
    name = raw.get("type") if isinstance(raw, dict) else None
    return CompiledRule(echo(str(name or "unknown")), index, lambda ctx: UNREADABLE)
