"""The judgement of a question by its facts: pure, without I/O. `settling.py` settles afterwards what needs counters."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.chains import Link
from decisions.approvals import Content
from decisions.basis import Basis, Found, affected_organization, find_basis
from decisions.facts import TokenFacts
from decisions.indexing import scopes_to_index
from decisions.questions import Question
from decisions.repeats import answer_again, refuse
from decisions.requests import CALLER_REFUSED, LEAST_EFFORT, UNKNOWN_TOKEN, Decision, Reason
from decisions.sides import Side
from limits.counting import MAX_PER_CALL, Room
from limits.flows import OUTBOUND
from limits.reservations import Hold
from limits.sliding_window import CounterRequest
from policies.engine import PASSED, CompiledPolicy, Evaluation, PolicyDenial, Traced, evaluate, trace
from policies.rules import RuleContext
from policies.rules.budget import Budget
from tokens.access_tokens import Claims
from tokens.chains import narrow_targets

type Evaluable = tuple[Sequence[CompiledPolicy], RuleContext]


@dataclass(slots=True)
class Judgement:
    """A preliminary decision, with what must still be settled: limits, flows, and scopes that the user must approve.

    `service_organization_id` is the other organization whose log the decision belongs to. It is None if no service
    asks, or if the token is not for the service that an anonymous caller names: otherwise the holder of any token could
    write to any organization's log.
    """

    question: Question
    decision: Decision
    organization_id: str | None = None
    service_organization_id: str | None = None
    evaluation: Evaluation = PASSED
    asked_scopes: tuple[str, ...] = ()
    content: Content | None = None
    """What an approval must cover. None if the user is certainly not asked."""
    denying_organization_id: str | None = None
    is_logged: bool = True
    indexed_scopes: Sequence[str] | None = None
    """The scopes under which the log has the decision, or None if these are all."""
    is_repeated: bool = False
    """Whether an earlier decision answers the request: nothing is evaluated, counted or logged."""
    shadows: Sequence["Shadow"] = ()
    traced: Sequence[Traced] | None = None
    effort: float = LEAST_EFFORT
    """See `Decision.effort`."""
    holds: tuple[Hold, ...] = ()
    """The counters that hold the amount of an allowed request that reserves it."""
    basis: Basis | None = None
    _keys: tuple[str, ...] | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to settle, as for most requests."""
        if self.is_repeated:
            return True
        evaluation = self.evaluation
        has_requirements = evaluation.limits or evaluation.flows or self.content or self.shadows
        return not has_requirements and self.traced is None and self.question.request.reserve_seconds is None

    def needed_keys(self) -> tuple[str, ...]:
        """Return the keys of all rows of counters to load. Call it once everything is evaluated."""
        if self._keys is None:
            counters = [key for request in self.counter_requests() for key in request.keys]
            self._keys = (*counters, *self.flow_keys())
        return self._keys

    def counter_requests(self) -> Sequence[CounterRequest]:
        """Return all counters to load, which includes those that only shadow policies and traces need."""
        own = self.evaluation.counter_requests
        if self.content is None and not self.shadows and self.traced is None:
            return own
        asking = (self.content.counter,) if self.content else ()
        shadows = [request for shadow in self.shadows for request in shadow.evaluation.counter_requests]
        return [*own, *asking, *shadows, *(limit for each in self.traced or () for limit in each.requirements.limits)]

    def flow_keys(self) -> Sequence[str]:
        """Return the rows of all guards against data flows, likewise."""
        if not self.evaluation.flows and not self.shadows and self.traced is None:
            return ()
        evaluations = (self.evaluation, *(shadow.evaluation for shadow in self.shadows))
        flows = [flow.request for evaluation in evaluations for flow in evaluation.flows]
        flows += [each.requirements.flow for each in self.traced or () if each.requirements.flow]
        return [key for flow in flows for key in flow.keys]


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a shadow policy of an organization would decide."""

    organization_id: str
    evaluation: Evaluation


def judge(question: Question, found: Found, now: datetime) -> Judgement:
    """Decide everything except the limits."""
    if not is_authentic(question, found, now):
        return Judgement(question, CALLER_REFUSED, is_logged=False)
    if found.problem is not None:
        return Judgement(question, refuse(found.problem), is_logged=False, is_repeated=True)
    if question.claims is None:
        return Judgement(question, UNKNOWN_TOKEN, is_logged=False)
    if found.token is None:
        return _judge_deleted(question, question.claims, found, now)
    return _judge_stored(question, found.token, found, now)


def _judge_stored(asked: Question, token: TokenFacts, found: Found, now: datetime) -> Judgement:
    basis = find_basis(asked, token, found, now)
    question = basis.widen(asked)
    request = question.request
    judgement = Judgement(question, UNKNOWN_TOKEN, token.organization_id, basis.service_organization_id)
    judgement.basis, judgement.indexed_scopes = basis, basis.indexed_scopes
    if basis.reason is not None:
        judgement.decision = _describe(token, reason=basis.reason, missing=basis.missing_scopes, chain=basis.links)
        judgement.decision.trace = () if request.explains else None
        return judgement
    if request.is_introspection:
        judgement.decision = _describe(token, chain=basis.links)
        granted = token.granted_scopes
        judgement.decision.targets = (
            narrow_targets(found.chain, token.targets, granted) if found.chain else token.targets
        )
        return judgement
    if found.reserved is not None and request.repeat is not None:
        judgement.decision = answer_again(_describe(token, chain=basis.links), found.reserved)
        judgement.is_repeated, judgement.is_logged = True, False
        return judgement
    context = _rule_context(question, token, basis, now)
    sides = _sides(basis, context)
    own = Room(MAX_PER_CALL * max(1, len(basis.links)))
    rooms = (own, request.room) if request.room else (own,)
    evaluation = _evaluate(sides, own).within(rooms[1:])
    judgement.decision = _describe(token, policy=evaluation.denied_by, chain=basis.links)
    judgement.evaluation = evaluation
    if evaluation.denied_by is not None:
        judgement.denying_organization_id = owner(evaluation.denied_by, judgement)
    if request.explains:
        judgement.traced = [traced.within(rooms) for side in sides for traced in trace(*side)]
    if found.has_shadows:  # last, because they share the budget
        judgement.shadows = _shadows(asked, basis, sides, rooms)
    if evaluation.denied_by is None and token.user_id is not None and token.consent_id is not None:
        _find_content(judgement, token, found, basis)
    return judgement


def _find_content(judgement: Judgement, token: TokenFacts, found: Found, basis: Basis) -> None:
    """Set which scopes the user must approve, and what an approval must cover."""
    judgement.asked_scopes = basis.asked_scopes
    if judgement.asked_scopes or (judgement.evaluation.flows and _may_ask(judgement.evaluation)):
        service_id = found.service.server_id if found.service and judgement.service_organization_id else None
        ends = [each.expires_at for each in found.chain]
        judgement.content = Content(judgement.question.request, token, service_id, basis.links, ends)


def _may_ask(evaluation: Evaluation) -> bool:
    return any(flow.request.asks and OUTBOUND in flow.request.labels for flow in evaluation.flows)


def _shadows(asked: Question, basis: Basis, sides: Sequence[Evaluable], rooms: Collection[Room]) -> Sequence[Shadow]:
    """Return what each shadow policy would decide, if the batch has room for it."""
    return [
        Shadow(side.organization_id, evaluate([policy], context).within(rooms))
        for side, (_, context) in zip(basis.sides, sides, strict=True)
        if side.organization_id is not None
        for policy in side.shadows
        if _has_room(asked, f"{policy.id} {side.link.agent_id}")
    ]


def _has_room(question: Question, named: str) -> bool:
    """Return whether the batch has room for what a shadow policy says of the question, also if it starts again."""
    room = question.request.shadow_room
    return room is None or room.take([f"{id(question)} {named}"])


def _judge_deleted(question: Question, claims: Claims, found: Found, now: datetime) -> Judgement:
    decision = Decision(
        allowed=False,
        reason=Reason.TOKEN_EXPIRED if claims.expires_at <= now else Reason.TOKEN_REVOKED,
        user_id=claims.user_id,
        agent_id=found.agent.agent_id if found.agent else None,
        client_id=claims.client_id,
        consent_id=claims.consent_id,
        token_id=claims.token_id,
        expires_at=claims.expires_at,
        trace=() if question.request.explains else None,
    )
    own = found.organization_id
    # Who owned the audience is deleted with the row. The request is denied anyway: this only decides who can read that.
    owners = dict.fromkeys(claims.audience, found.service.organization_id) if found.service else {}
    affected = affected_organization(question, found.service, claims.audience, owners, own)
    judgement = Judgement(question, decision, own, affected)
    judgement.indexed_scopes = scopes_to_index(question.request.required_scopes, None, found.scopes, (own, affected))
    return judgement


def is_authentic(question: Question, found: Found, now: datetime) -> bool:
    """Return whether the caller's credential is right, or none was sent."""
    credential, caller = question.request.credential, found.caller
    if credential is None:
        return True
    return caller is not None and caller.server_id == credential.server_id and caller.is_live_at(now)


def _sides(basis: Basis, context: RuleContext) -> Sequence[Evaluable]:
    """Return the policies that apply, each with the request as a call of that side's agent."""
    if basis.links:
        return [(side.all, _as_call_of(side, context) if side.all or side.shadows else context) for side in basis.sides]
    own, *others = basis.sides
    return ((own.all, context), *((each.all, context._replace(policies_of=each.policies_of)) for each in others))


def _as_call_of(side: Side, context: RuleContext) -> RuleContext:
    # A budget of its own, because it keeps results, which depend on the agent.
    link = side.link
    return context._replace(
        agent_id=link.agent_id, organization_id=link.organization_id, policies_of=side.policies_of, budget=Budget()
    )


def _evaluate(sides: Sequence[Evaluable], room: Room) -> Evaluation:
    evaluation = evaluate(*sides[0], room)
    for policies, context in sides[1:]:
        if evaluation.denied_by is not None:
            break
        if not policies:
            continue
        evaluation = evaluation.joined(evaluate(policies, context, room))
    return evaluation


def owner(denial: PolicyDenial | None, judgement: Judgement) -> str | None:
    """Return the organization whose policy denied, or None if no policy did, but a limit of the user or an agent."""
    if denial is None or judgement.basis is None:
        return None
    named = (side for side in judgement.basis.sides if any(each.id == denial.policy_id for each in side.policies))
    return next((side.organization_id for side in named), None)


def is_users_own(denial: PolicyDenial, decision: Decision) -> bool:
    """Return whether a limit of the user's own on the connection denied."""
    return denial.policy_id == decision.consent_id


def is_of_delegation(denial: PolicyDenial, decision: Decision) -> bool:
    """Return whether a limit of a delegation denied, by which an agent handed the work on."""
    return any(denial.policy_id == link.delegation_id for link in decision.chain)


def _rule_context(question: Question, token: TokenFacts, basis: Basis, now: datetime) -> RuleContext:
    request, task = question.request, basis.found.chain[-1].task if basis.links else ""
    return RuleContext(
        now=now,
        agent_id=token.agent_id,
        scopes=basis.required_scopes,
        action=request.action,
        resource=request.resource,
        ip=request.ip,
        context=request.context,
        user_id=token.user_id,
        organization_id=token.organization_id,
        labels=basis.labels,
        budget=Budget(),
        chain=basis.links,
        task=task,
    )


def _describe(
    token: TokenFacts,
    *,
    reason: Reason | None = None,
    missing: tuple[str, ...] = (),
    policy: PolicyDenial | None = None,
    chain: tuple[Link, ...] = (),
) -> Decision:
    return Decision(
        allowed=reason is None and policy is None,
        reason=Reason.POLICY_DENIED if policy else reason,
        user_id=token.user_id,
        agent_id=token.agent_id,
        client_id=token.client_id,
        consent_id=token.consent_id,
        token_id=token.token_id,
        audience=token.audience,
        granted_scopes=token.granted_scopes,
        expires_at=token.expires_at,
        missing_scopes=missing,
        policy=policy,
        chain=chain,
        retry_after_seconds=policy.retry_after_seconds if policy else None,
    )
