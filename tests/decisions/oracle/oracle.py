"""The oracle: it keeps all calls that were allowed, and answers each question by looking at all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.decisions.oracle.calls import Call, Policy, Reaction, Rule, Service
from tests.decisions.oracle.rules import CHECKS, amount_of, concerns

OUR_AUDIENCE = "us"
LABELS = ("private", "untrusted", "outbound")
# The prefixes of the catalogue, and the scopes that cover some of its actions, the least risky first.
RESERVED = ("email:", "payments:", "browser:", "calendar:")
COVERS: Mapping[str, Sequence[str]] = {
    "email:search": ["email:read"],
    "email:forward": ["email:send"],
    "email:delete": ["email:manage"],
    "browser:click": ["browser:act", "browser:signin"],
    "browser:submit": ["browser:act", "browser:signin"],
    "payments:capture": ["payments:charge"],
}
# Of the shop's organization: which scope covers the action since which edition of it, likewise.
SHOP_OWNER = "org_2"
SHOP_COVERS: Mapping[str, Mapping[str, int]] = {
    "shop:list": {"shop:read": 1, "shop:order": 2},
    "shop:pay": {"shop:order": 1},
}
# How long the user has to answer, and how long the agent may then use the answer.
ANSWER_TIME = USE_TIME = timedelta(hours=1)
REASONS = (
    "token_expired",
    "token_revoked",
    "service_suspended",
    "organization_suspended",
    "organization_stopped",
    "agent_suspended",
    "user_inactive",
    "consent_revoked",
    "consent_expired",
    "consent_paused",
    "wrong_audience",
)


@dataclass
class Approval:
    """What the user has been asked, and has answered: "pending", "denied", "once" or "target"."""

    call: Call
    answer: str
    until: datetime
    reasons: frozenset[str]


class Answer(NamedTuple):
    """None as the reason means that the call is allowed. `denied_by` are the types of the rules that deny.

    `asked` is what the user has been asked about the call.
    """

    reason: str | None
    missing: frozenset[str] = frozenset()
    denied_by: frozenset[str] = frozenset()
    asked: Approval | None = None


@dataclass
class Oracle:
    policies: Sequence[Policy]
    services: Sequence[Service]
    labels: Mapping[str, Sequence[str]]
    past: list[Call] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)

    def decide(self, call: Call) -> Answer:
        problems = self.problems_of(call)
        if problem := next((reason for reason in REASONS if reason in problems), None):
            return Answer(problem)
        covers = self.covers_of(call)
        missing = frozenset(call.scopes) - {*call.connection.scopes}
        granted = None if covers is None else [scope for scope in covers if self.is_granted(scope, call)]
        if missing or granted == []:
            return Answer("insufficient_scope", missing if granted != [] else missing | {*(covers or ())[:1]})
        if granted and not {*granted} & {*call.scopes}:
            call = replace(call, scopes=(granted[0], *call.scopes))
        verdicts = [(rule["type"], self.verdict(rule, past, call)) for rule, past in self.rules_for(call)]
        if denied_by := frozenset(name for name, verdict in verdicts if verdict == "deny"):
            return Answer("policy_denied", denied_by=denied_by)
        modes = call.connection.terms.get("modes", {})
        reasons = {action for action in call.actions if modes.get(action) == "ask"}
        reasons |= {f"rule {name}" for name, verdict in verdicts if verdict == "ask"}
        if reasons and (asked := self.ask(call, frozenset(reasons))):
            return Answer("approval_required", asked=asked)
        self.past.append(call)
        return Answer(None)

    def covers_of(self, call: Call) -> list[str] | None:
        """Return the scopes that cover the action, or None if it is a word of the service's own."""
        action, service = call.action or "", self.service_of(call)
        if action.lower().startswith(RESERVED):
            return [action] if action in self.labels else [*COVERS.get(action, ())]
        if action.startswith("shop:") and (service or call.connection).organization == SHOP_OWNER:
            return [action] if action in self.labels else [*SHOP_COVERS.get(action, ())]
        return None

    def is_granted(self, scope: str, call: Call) -> bool:
        since = SHOP_COVERS.get(call.action or "", {}).get(scope, 0)
        return scope in call.connection.scopes and since <= call.connection.terms.get("editions", {}).get(scope, 0)

    def react(self, approval: Approval, reaction: Reaction, at: datetime) -> None:
        """Let the user answer what AgentGate asked them."""
        if approval.answer == "pending":
            approval.answer = reaction.answer
            if reaction.answer != "denied":
                lifetime = timedelta(seconds=reaction.seconds) if reaction.answer == "target" else USE_TIME
                approval.until = at + lifetime

    def problems_of(self, call: Call) -> set[str]:
        connection, service = call.connection, self.service_of(call)
        good = {service.identifier} if service else {OUR_AUDIENCE}
        if service and service.organization == connection.organization:
            good.add(OUR_AUDIENCE)
        problems = {*connection.broken} if good & {*connection.audience} else {*connection.broken, "wrong_audience"}
        return problems | {"service_suspended"} if service and service.is_suspended else problems

    def service_of(self, call: Call) -> Service | None:
        named = [service for service in self.services if service.identifier == call.resource]
        return call.asker or (named[0] if named else None)

    def rules_for(self, call: Call) -> Iterator[tuple[Rule, list[Call]]]:
        """Yield each rule that the call falls under, with the earlier calls that fell under it."""
        for policy in self.policies:
            if policy.mode == "enforce" and self.covers(policy, call):
                past = [other for other in self.past if self.covers(policy, other)]
                yield from ((rule, past) for rule in policy.rules)
        terms = call.connection.terms
        mine = [other for other in self.past if other.connection == call.connection]
        for scope, rules in terms.get("limits", {}).items():
            if scope in call.actions:
                past = [other for other in mine if scope in other.actions]
                yield from ((rule, past) for rule in rules)
        if "guards" in terms:
            yield {"type": "data_flow", "config": {"windowSeconds": 86400, "then": terms["guards"]["data_flow"]}}, mine

    def covers(self, policy: Policy, call: Call) -> bool:
        service = self.service_of(call)
        organizations = (call.connection.organization, service.organization if service else None)
        return policy.organization in organizations and policy.agent in (None, call.connection.agent)

    def verdict(self, rule: Rule, past: Sequence[Call], call: Call) -> str:
        """Return "pass", "deny" or "ask"."""
        config, is_list = rule["config"], rule["type"] in ("action_allowlist", "action_blocklist")
        if not is_list and not concerns(config, call):
            return "pass"
        if window := config.get("windowSeconds"):
            past = [other for other in past if concerns(config, other) and is_within(window, other, call)]
        if rule["type"] == "data_flow":
            if not all(label in LABELS for label in stated_labels(call)):
                return "deny"
            return str(config["then"]) if self.leaks(past, call) else "pass"
        return "pass" if CHECKS[rule["type"]](config, call, past) else "deny"

    def leaks(self, past: Sequence[Call], call: Call) -> bool:
        """Return whether the call sends data out of a task that has read private data and others' content."""
        task = call.context.get("task")
        mine = [other for other in past if other.connection == call.connection]
        mine = [other for other in mine if task is None or other.context.get("task") in (None, task)]
        seen = set().union(*map(self.labels_of, [*mine, call]))
        return "outbound" in self.labels_of(call) and {"private", "untrusted"} <= seen

    def labels_of(self, call: Call) -> set[str]:
        return {label for action in call.actions for label in self.labels.get(action, ())}.union(stated_labels(call))

    def ask(self, call: Call, reasons: frozenset[str]) -> Approval | None:
        """Return what the user is or was asked, or None if they approved the call, knowing the reasons.

        What was given once is used up.
        """
        about = self.about(call)
        if denied := [each for each in about if each.answer == "denied"]:
            return denied[-1]
        fitting = [each for each in about if reasons <= each.reasons]
        if once := [each for each in fitting if each.answer == "once"]:
            self.approvals.remove(once[-1])
            return None
        targets = [each for each in self.approvals if each.answer == "target" and call.at < each.until]
        if any(reasons <= each.reasons and covers_target(each.call, call) for each in targets):
            return None
        if not fitting:
            fitting = [Approval(call, "pending", call.at + ANSWER_TIME, reasons)]
            self.approvals += fitting
        return fitting[-1]

    def about(self, call: Call) -> list[Approval]:
        """Return what the user has been asked about exactly this call."""
        same = [each for each in self.approvals if content_of(each.call) == content_of(call)]
        return [each for each in same if call.at < each.until and each.answer != "target"]


def stated_labels(call: Call) -> Sequence[Any]:
    """Return the labels that the service adds, or one that is unknown if it sends something else."""
    stated = call.context.get("labels", [])
    return stated if isinstance(stated, list) else ["unreadable"]


def is_within(window: int, other: Call, call: Call) -> bool:
    """Return whether both calls are in one window. A limit may count for 1/64 longer, and no case depends on that."""
    gap = (call.at - other.at).total_seconds()
    assert not window <= gap <= window * 65 / 64, "The case is ambiguous."
    return gap < window


def content_of(call: Call) -> str:
    return call.frame(**{name: value for name, value in call.context.items() if name != "ip"})


def covers_target(approved: Call, call: Call) -> bool:
    """Return whether both calls have the same target, and the call has an amount of at most what was approved."""
    if "amount" in call.context and (amount_of(call) is None or amount_of(approved) is None):
        return content_of(call) == content_of(approved)
    return target_of(call) == target_of(approved) and (amount_of(call) or 0) <= (amount_of(approved) or 0)


def target_of(call: Call) -> str:
    target = {
        name: value for name, value in call.context.items() if name not in ("amount", "text", "diff", "task", "ip")
    }
    currencies = [call.context["amount"].get("currency")] if "amount" in call.context else []
    return call.frame(**target, currencies=currencies)
