"""The naive model: it keeps every row and every allowed call, and answers each question by looking at all of them.

A call that was handed on is one call of each agent of its chain: `views` has it as each of them would have made it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from tests.decisions.oracle.calls import Call, Policy, Reaction, Rule, Service
from tests.decisions.oracle.calls import Connection as Caller
from tests.decisions.oracle.chains.rows import Agent, Connection, Delegation, Family, Organization, Question, Token
from tests.decisions.oracle.oracle import COVERS, OUR_AUDIENCE, Approval, Oracle, is_within
from tests.decisions.oracle.rules import CHECKS, concerns, holds

LABELS: Mapping[str, Sequence[str]] = {
    "email:read": ("private", "untrusted"),
    "email:send": ("outbound",),
    "calendar:freebusy": (),
    "calendar:write": ("outbound",),
    "payments:read": ("private",),
    "payments:charge": ("outbound",),
}
CRITICAL = frozenset({"payments:charge"})
MAX_DEPTH, MAX_ASKED, ASKED_SECONDS = 4, 100, 3600
GUARD_SECONDS = 86_400
TARGET_TYPE, TARGET_FIELD = "target", "target"


@dataclass(frozen=True)
class Answer:
    """Why a call is denied, or None. `bounds` are the ids of the connection, delegations or policies that deny it."""

    reason: str | None
    missing: frozenset[str] = frozenset()
    bounds: frozenset[str] = frozenset()
    asked: Approval | None = None


class Bound(NamedTuple):
    """A rule that a call falls under, as this call, with the earlier calls that fell under it, and whose it is."""

    owner: str
    rule: Rule
    view: Call
    past: Sequence[Call]


@dataclass(frozen=True, eq=False)
class Made:
    """A call that was allowed."""

    family: Family
    service: Service | None
    views: Sequence[Call]


@dataclass
class Model:
    organizations: Sequence[Organization]
    services: Sequence[Service]
    policies: Mapping[str, Policy]
    families: list[Family] = field(default_factory=list)
    past: list[Made] = field(default_factory=list)
    asking: Oracle = field(default_factory=lambda: Oracle((), (), LABELS))
    asked_at: list[tuple[Agent, str, datetime]] = field(default_factory=list)

    def decide(self, question: Question) -> Answer:
        token, family = question.token, question.token.family
        service = self.service_of(question)
        reason = why_not(token, question.at, self.is_closed(service))
        reason = reason or problem_of_connection(family.connection, question.at)
        if reason or not self.reaches(token, service):
            return Answer(reason or "wrong_audience")
        held = scopes_of(token)
        covers = covers_of(question.action)
        missing = frozenset(question.scopes) - {*held}
        granted = None if covers is None else [scope for scope in covers if scope in held]
        if missing or granted == []:
            return Answer("insufficient_scope", missing if granted != [] else missing | {*(covers or ())[:1]})
        if granted and not {*granted} & {*question.scopes}:
            question = replace(question, scopes=(granted[0], *question.scopes))
        return self.weigh(question, Made(family, service, views_of(question)))

    def weigh(self, question: Question, made: Made) -> Answer:
        """Answer a call that passes all checks by its bounds and approvals."""
        verdicts = [(bound, self.verdict(bound)) for bound in self.bounds(made)]
        if owners := frozenset(bound.owner for bound, verdict in verdicts if verdict == "deny"):
            return Answer("policy_denied", bounds=owners)
        connection, first = made.family.connection, made.views[0]
        asks = {action for action in first.actions if action in connection.terms.get("modes", {})}
        asks |= {scope for scope in question.scopes if made.family.delegation and scope in CRITICAL}
        asks |= {f"rule {bound.rule['type']}" for bound, verdict in verdicts if verdict == "ask"}
        if asks and (asked := self.ask(made, frozenset(asks), question.at)):
            return Answer("approval_required", asked=asked)
        self.past.append(made)
        return Answer(None)

    def bounds(self, made: Made) -> Iterator[Bound]:
        """Yield each rule of the organizations, of the user and of the delegations."""
        for policy_id, policy in self.policies.items():
            for agent, view in zip(made.family.agents, made.views, strict=True):
                if falls_under(policy, agent, made.service):
                    for rule in policy.rules:
                        yield Bound(policy_id, rule, view, self.seen_by(policy, rule, agent))
        yield from self.bounds_of_user(made.family.connection, made.views[0])
        for each in made.family.chain:
            below = [other for other in self.past if each in other.family.chain]
            yield from limits_of(each.id, each.limits, made.views[0], below)
            for scope, targets in each.targets.items():
                if scope in made.views[0].actions:
                    condition = {"field": TARGET_FIELD, "operator": "in", "values": sorted(targets)}
                    rule = {"type": "context_match", "config": {"conditions": [condition]}}
                    yield Bound(each.id, rule, made.views[0], ())

    def bounds_of_user(self, connection: Connection, view: Call) -> Iterator[Bound]:
        mine = [each for each in self.past if each.family.connection is connection]
        yield from limits_of(connection.id, connection.terms.get("limits", {}), view, mine)
        if then := connection.terms.get("guards", {}).get("data_flow"):
            rule = {"type": "data_flow", "config": {"windowSeconds": GUARD_SECONDS, "then": then}}
            yield Bound(connection.id, rule, view, [each.views[0] for each in mine])

    def seen_by(self, policy: Policy, rule: Rule, agent: Agent) -> list[Call]:
        """Return the earlier calls of all agents, or of one agent for a guard, that fell under the policy.

        What several agents of one chain did together is one call, except for a limit per agent.
        """
        seen = []
        for made in self.past:
            views = [
                view
                for each, view in zip(made.family.agents, made.views, strict=True)
                if falls_under(policy, each, made.service) and (rule["type"] != "data_flow" or each is agent)
            ]
            seen += views if rule["config"].get("scope") == "per_agent" else views[:1]
        return seen

    def verdict(self, bound: Bound) -> str:
        """Return "pass", "deny" or "ask"."""
        config, name, view = bound.rule["config"], bound.rule["type"], bound.view
        if name != "action_blocklist" and not concerns(config, view):
            return "pass"
        past = bound.past
        if window := config.get("windowSeconds"):
            past = [each for each in past if concerns(config, each) and is_within(window, each, view)]
        if name == "data_flow":
            return str(config["then"]) if leaks(past, view) else "pass"
        if name == "context_match":
            return "pass" if all(holds(one, view) for one in config["conditions"]) else "deny"
        return "pass" if CHECKS[name](config, view, past) else "deny"

    def ask(self, made: Made, reasons: frozenset[str], at: datetime) -> Approval | None:
        """Return what the user is asked, or None if they approved the call. It counts for the first agent."""
        call = made.views[0]
        known = len(self.asking.approvals)
        asked = self.asking.ask(call, reasons)
        if len(self.asking.approvals) > known:
            root, user = made.family.agents[0], call.connection.user
            recent = [one for one in self.asked_at if one[:2] == (root, user) and is_recent(one[2], at)]
            if len(recent) >= MAX_ASKED:
                self.asking.approvals.pop()
            else:
                self.asked_at.append((root, user, at))
        return asked

    def react(self, approval: Approval, reaction: Reaction, at: datetime) -> None:
        """Let the user answer. What they approve for a time covers nothing critical, and nothing that was handed on."""
        self.asking.react(approval, reaction, at)
        is_once_only = "del_" in approval.call.connection.name or bool({*approval.call.scopes} & CRITICAL)
        if approval.answer == "target" and is_once_only:
            self.asking.approvals.remove(approval)

    def service_of(self, question: Question) -> Service | None:
        named = [service for service in self.services if service.identifier == question.resource]
        return question.asker or (named[0] if named else None)

    def is_closed(self, service: Service | None) -> bool:
        """Return whether the organization of the service is suspended."""
        return any(each.is_suspended for each in self.organizations if service and each.id == service.organization)

    def reaches(self, token: Token, service: Service | None) -> bool:
        """Return whether the token is for the service. Our audience is all services of the first agent's developer."""
        audience, root = token.family.audience, token.family.agents[0]
        if service is None:
            return OUR_AUDIENCE in audience
        is_own = service.organization == root.organization.id
        return service.identifier in audience or (is_own and OUR_AUDIENCE in audience)


def limits_of(owner: str, limits: Mapping[str, Sequence[Rule]], view: Call, past: Sequence[Made]) -> Iterator[Bound]:
    for scope, rules in limits.items():
        if scope in view.actions:
            views = [each.views[0] for each in past if scope in each.views[0].actions]
            yield from (Bound(owner, rule, view, views) for rule in rules)


def why_not(token: Token, now: datetime, is_closed: bool = False) -> str | None:
    """Return why a token is worth nothing, whatever its connection. `is_closed` is whether the service is suspended."""
    family, agent = token.family, token.family.agent
    problems = (
        ("token_expired", token.ends <= now),
        ("token_revoked", family.is_revoked),
        ("service_suspended", is_closed),
        ("organization_suspended", agent.organization.is_suspended),
        ("organization_stopped", agent.organization.is_stopped),
        ("agent_suspended", agent.is_suspended or agent.is_stopped),
        ("user_inactive", not family.connection.person.is_active),
        ("delegation_ended", not all(is_live(each, now) for each in family.chain)),
    )
    return next((reason for reason, is_so in problems if is_so), None)


def problem_of_connection(connection: Connection, now: datetime) -> str | None:
    if connection.is_revoked:
        return "consent_revoked"
    if connection.ends <= now:
        return "consent_expired"
    return "consent_paused" if connection.is_paused or connection.person.is_paused else None


def is_live(delegation: Delegation, now: datetime) -> bool:
    """Return whether a delegation holds, apart from those above it."""
    source = delegation.source
    if delegation.is_ended or delegation.ends <= now or source.is_revoked or not source.agent.may_act:
        return False
    return is_permitted(source, delegation.agent)


def is_permitted(source: Family, receiver: Agent) -> bool:
    mode, root = source.connection.mode, source.agents[0].organization
    if receiver.organization is root:
        return mode != "none"
    return mode == "verified" and receiver.organization.is_verified


def scopes_of(token: Token) -> list[str]:
    return [scope for scope in token.scopes if scope in held_by(token.family)]


def held_by(family: Family) -> list[str]:
    """Return what an agent has now: never more than the one that handed it over, and nothing without a target."""
    own = [
        scope
        for scope in family.scopes
        if scope in family.agent.scopes and scope in family.connection.scopes and scope not in family.removed
    ]
    if family.delegation is not None:
        above = held_by(family.delegation.source)
        own = [scope for scope in own if scope in family.delegation.scopes and scope in above]
    return [scope for scope in own if has_targets(family, scope)]


def left_of(delegation: Delegation) -> list[str]:
    """Return what the user leaves of a delegation. What developers have taken from their agents can return."""
    family = Family(delegation.agent, delegation.source.connection, delegation.scopes, (), delegation)
    lost = set[str]().union(*(each.source.removed for each in family.chain))
    own = [scope for scope in delegation.scopes if scope in family.connection.scopes and scope not in lost]
    return [scope for scope in own if has_targets(family, scope)]


def has_targets(family: Family, scope: str) -> bool:
    return targets_left(family, scope) != set()


def targets_left(family: Family, scope: str) -> set[str] | None:
    """Return the targets that every delegation of the chain allows for the scope, or None for any."""
    bounds = [each.targets[scope] for each in family.chain if scope in each.targets]
    return set.intersection(*bounds) if bounds else None


def falls_under(policy: Policy, agent: Agent, service: Service | None) -> bool:
    """Return whether a call of the agent falls under the policy: of its own organization, or of the service's."""
    concerned = (agent.organization.id, service.organization if service else None)
    return policy.organization in concerned and policy.agent in (None, agent.id)


def covers_of(action: str | None) -> Sequence[str] | None:
    """Return the scopes that cover the action, or None if it is a word of the service's own."""
    if action is None or ":" not in action:
        return None
    return [action] if action in LABELS else COVERS.get(action, ())


def views_of(question: Question) -> list[Call]:
    """Return the call as each agent of the chain would have made it."""
    family, connection = question.token.family, question.token.family.connection
    task = family.delegation.task if family.delegation else ""
    name = " ".join([connection.id, family.agent.id, *(each.id for each in family.chain)])
    return [
        Call(
            at=question.at,
            connection=Caller(name, connection.person.id, agent.id, agent.organization.id, (), (), {}),
            asker=question.asker,
            scopes=question.scopes,
            action=question.action,
            resource=question.resource,
            context=question.context,
            address=None,
            handed=task,
        )
        for agent in family.agents
    ]


def leaks(past: Sequence[Call], call: Call) -> bool:
    """Return whether the call sends data out of a task that has read private data and others' content."""
    task = call.context.get("task")
    mine = [each for each in past if each.connection.user == call.connection.user]
    mine = [
        each for each in mine if task is None or each.context.get("task") is None or tasks_of(each) & tasks_of(call)
    ]
    seen = set().union(*map(labels_of, [*mine, call]))
    return "outbound" in labels_of(call) and {"private", "untrusted"} <= seen


def tasks_of(call: Call) -> set[str]:
    """Return what the service and the agents that handed the work on called the task of the call."""
    return {*filter(None, (call.context.get("task"), call.handed))}


def labels_of(call: Call) -> set[str]:
    return {label for action in call.actions for label in LABELS.get(action, ())}


def is_recent(asked: datetime, at: datetime) -> bool:
    return (at - asked).total_seconds() < ASKED_SECONDS
