"""The judgement of a question by its facts: pure, without I/O. `settling.py` settles afterwards what needs counters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from core.errors import DomainError
from decisions.approvals import Content
from decisions.checks import first_reason, missing_scopes
from decisions.covering import Covering, find_covering
from decisions.facts import AgentFacts, CallerFacts, ReservedFacts, ScopeFacts, ServiceFacts, TokenFacts
from decisions.indexing import scopes_to_index
from decisions.questions import Question
from decisions.repeats import answer_again, refuse
from decisions.requests import CALLER_REFUSED, LEAST_EFFORT, UNKNOWN_TOKEN, Decision, Reason, VerifyRequest
from decisions.terms import NO_TERMS, Terms
from limits.counting import MAX_PER_CALL, Room
from limits.flows import OUTBOUND
from limits.reservations import Hold
from limits.sliding_window import CounterRequest
from policies.engine import PASSED, CompiledPolicy, Evaluation, PolicyDenial, Traced, evaluate, trace
from policies.policy_sets import PolicySet
from policies.rules import RuleContext
from policies.rules.budget import Budget
from resources.catalogue import catalogue
from tokens.access_tokens import Claims

NO_LABELS: frozenset[str] = frozenset()


class Found(NamedTuple):
    """What the store found for one question.

    `service` is the resource server that authenticated or, for an anonymous caller, the one that it names. `agent` is
    only looked up if the token's row is deleted. The policies are those of the agent's and the service's
    organization. `scopes` are the organizations' own scopes that matter. `reserved` is what a request with the
    same `Idempotency-Key` reserved before, and `problem` why its call cannot be answered again.
    """

    token: TokenFacts | None
    agent: AgentFacts | None
    caller: CallerFacts | None
    service: ServiceFacts | None
    agent_policies: PolicySet | None
    service_policies: PolicySet | None
    terms: Terms = NO_TERMS
    scopes: Sequence[ScopeFacts] = ()
    reserved: ReservedFacts | None = None
    problem: DomainError | None = None

    @property
    def organization_id(self) -> str | None:
        """The agent's organization. None for a stock client, and if the agent is deleted."""
        source = self.token or self.agent
        return source.organization_id if source else None


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

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to settle, as for most requests."""
        if self.is_repeated:
            return True
        evaluation = self.evaluation
        has_requirements = evaluation.limits or evaluation.flows or self.content or self.shadows
        return not has_requirements and self.traced is None and self.question.request.reserve_seconds is None

    def needed_keys(self) -> tuple[str, ...]:
        """Return the keys of all rows of counters to load."""
        return (*[key for request in self.counter_requests() for key in request.keys], *self.flow_keys())

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
        judgement = _judge_deleted(question, question.claims, found, now)
    else:
        judgement = _judge_stored(question, found.token, found, now)
    concerned = (judgement.organization_id, judgement.service_organization_id)
    required = judgement.question.request.required_scopes
    judgement.indexed_scopes = scopes_to_index(required, found.token, found.scopes, concerned)
    return judgement


def cover(question: Question, token: TokenFacts, found: Found) -> tuple[Question, Covering]:
    """Return which granted scope covers the action of a question, and the question as if it required that scope.

    So all that follows knows it.
    """
    policy_set = found.service_policies if found.service else found.agent_policies
    covering = find_covering(question, token, found.terms, policy_set)
    if covering.scope is None:
        return question, covering
    required = (covering.scope, *question.request.required_scopes)
    return question._replace(request=question.request._replace(required_scopes=required)), covering


def _judge_stored(asked: Question, token: TokenFacts, found: Found, now: datetime) -> Judgement:
    question, covering = cover(asked, token, found)
    request = question.request
    affected = _affected(question, found.service, token.audience, token.owners, token.organization_id)
    judgement = Judgement(question, UNKNOWN_TOKEN, token.organization_id, affected)
    reason = first_reason(token, found.service, request.required_scopes, now, is_action_denied=covering.is_denied)
    if reason is not None:
        missing = _missing(token, request, covering) if reason is Reason.INSUFFICIENT_SCOPE else ()
        judgement.decision = _describe(token, reason=reason, missing=missing)
        judgement.decision.trace = () if request.explains else None
        return judgement
    if request.is_introspection:
        judgement.decision = _describe(token)
        judgement.decision.targets = token.targets
        return judgement
    if found.reserved is not None and request.repeat is not None:
        judgement.decision = answer_again(_describe(token), found.reserved)
        judgement.is_repeated, judgement.is_logged = True, False
        return judgement
    context = _rule_context(question, token, found, now)
    sides = _sides(token, found, affected, context)
    own = Room(MAX_PER_CALL)
    rooms = (own, request.room) if request.room else (own,)
    evaluation = _evaluate(sides, own).within(rooms[1:])
    judgement.decision = _describe(token, policy=evaluation.denied_by)
    judgement.evaluation = evaluation
    if evaluation.denied_by is not None:
        judgement.denying_organization_id = owner(evaluation.denied_by, found, judgement)
    if request.explains:
        judgement.traced = [traced.within(rooms) for side in sides for traced in trace(*side)]
    if _has_shadows(found):  # last, because they share the budget
        judgement.shadows = _shadows(asked, token, found, judgement, context, rooms)
    if evaluation.denied_by is None and token.user_id is not None and token.consent_id is not None:
        _find_content(judgement, token, found, context)
    return judgement


def _missing(token: TokenFacts, request: VerifyRequest, covering: Covering) -> tuple[str, ...]:
    missing = missing_scopes(token, request.required_scopes)
    return missing if covering.missing is None or covering.missing in missing else (*missing, covering.missing)


def _find_content(judgement: Judgement, token: TokenFacts, found: Found, context: RuleContext) -> None:
    """Set which scopes the user must approve, and what an approval must cover."""
    if found.terms.asks:
        judgement.asked_scopes = tuple(scope for scope in dict.fromkeys(context.asked) if scope in found.terms.asks)
    if judgement.asked_scopes or (judgement.evaluation.flows and _may_ask(judgement.evaluation)):
        service_id = found.service.server_id if found.service and judgement.service_organization_id else None
        judgement.content = Content(judgement.question.request, token, service_id)


def _may_ask(evaluation: Evaluation) -> bool:
    return any(flow.request.asks and OUTBOUND in flow.request.labels for flow in evaluation.flows)


def _has_shadows(found: Found) -> bool:
    own, other = found.agent_policies, found.service_policies
    return (own is not None and own.has_shadows) or (other is not None and other.has_shadows)


def _shadows(
    asked: Question,
    token: TokenFacts,
    found: Found,
    judgement: Judgement,
    context: RuleContext,
    rooms: Collection[Room],
) -> Sequence[Shadow]:
    """Return what each shadow policy would decide, if the batch has room for it."""
    own = found.agent_policies.shadow_for_agent(token.agent_id) if found.agent_policies else ()
    others: Sequence[CompiledPolicy] = ()
    if found.service_policies and judgement.service_organization_id not in (None, token.organization_id):
        others = found.service_policies.shadow_for_agent(token.agent_id)
    others_id = judgement.service_organization_id
    listed = ((token.organization_id, own, context), (others_id, others, context._replace(policies_of=others_id)))
    return [
        Shadow(organization_id, evaluate([policy], its_context).within(rooms))
        for organization_id, policies, its_context in listed
        if organization_id is not None
        for policy in policies
        if _has_room(asked, policy.id)
    ]


def _has_room(question: Question, policy_id: str) -> bool:
    """Return whether the batch has room for what this shadow policy says of the question, also if it starts again."""
    room = question.request.shadow_room
    return room is None or room.take([f"{id(question)} {policy_id}"])


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
    return Judgement(question, decision, own, _affected(question, found.service, claims.audience, owners, own))


def is_authentic(question: Question, found: Found, now: datetime) -> bool:
    """Return whether the caller's credential is right, or none was sent."""
    credential, caller = question.request.credential, found.caller
    if credential is None:
        return True
    return caller is not None and caller.server_id == credential.server_id and caller.is_live_at(now)


def _affected(
    question: Question,
    service: ServiceFacts | None,
    audience: Sequence[str],
    owners: Mapping[str, str],
    organization_id: str | None,
) -> str | None:
    """Return the organization of the service that the request affects, or None."""
    if service is None:
        return None
    is_caller = question.request.credential is not None
    return service.organization_id if is_caller or service.accepts(audience, owners, organization_id) else None


def _sides(
    token: TokenFacts, found: Found, affected: str | None, context: RuleContext
) -> Sequence[tuple[Sequence[CompiledPolicy], RuleContext]]:
    """Return the policies that apply: those of the agent's organization, and of the service's if it is another one."""
    own = found.agent_policies.for_agent(token.agent_id) if found.agent_policies else ()
    if found.terms.policies:
        own = (*own, *found.terms.policies)
    if found.service_policies is None or affected is None or affected == token.organization_id:
        return ((own, context),)
    others = found.service_policies.for_agent(token.agent_id)
    return ((own, context), (others, context._replace(policies_of=affected)))


def _evaluate(sides: Sequence[tuple[Sequence[CompiledPolicy], RuleContext]], room: Room) -> Evaluation:
    evaluation = evaluate(*sides[0], room)
    for policies, context in sides[1:]:
        if evaluation.denied_by is not None:
            break
        evaluation = evaluation.joined(evaluate(policies, context, room))
    return evaluation


def owner(denial: PolicyDenial | None, found: Found, judgement: Judgement) -> str | None:
    """Return the organization whose policy denied, or None if no policy did, or the user's own limit."""
    if denial is None or is_users_own(denial, judgement.decision):
        return None
    own = found.agent_policies.for_agent(judgement.decision.agent_id or "") if found.agent_policies else ()
    is_own = any(policy.id == denial.policy_id for policy in own)
    return judgement.organization_id if is_own else judgement.service_organization_id


def is_users_own(denial: PolicyDenial, decision: Decision) -> bool:
    """Return whether a limit of the user's own on the connection denied."""
    return denial.policy_id == decision.consent_id


def _rule_context(question: Question, token: TokenFacts, found: Found, now: datetime) -> RuleContext:
    request = question.request
    return RuleContext(
        now=now,
        agent_id=token.agent_id,
        scopes=tuple(request.required_scopes),
        action=request.action,
        resource=request.resource,
        ip=request.ip,
        context=request.context,
        user_id=token.user_id,
        organization_id=token.organization_id,
        labels=_labels(request.asked, found) if needs_labels(found) else NO_LABELS,
        budget=Budget(),
    )


def needs_labels(found: Found) -> bool:
    """Return whether a rule that may apply needs the labels of scopes."""
    own, other = found.agent_policies, found.service_policies
    if (own is not None and own.has_flows) or (other is not None and other.has_flows):
        return True
    return found.terms is not NO_TERMS and found.terms.has_flows


def _labels(asked: Collection[str], found: Found) -> frozenset[str]:
    """Return the labels of what is requested: the current ones, and those that the user saw when granting it."""
    known = catalogue()
    labels = {label for scope in asked if scope in known for label in known[scope].labels}
    labels.update(*(scope.labels for scope in found.scopes if scope.scope_id in asked))
    return frozenset(labels.union(*(found.terms.labels.get(scope, ()) for scope in asked)))


def _describe(
    token: TokenFacts,
    *,
    reason: Reason | None = None,
    missing: tuple[str, ...] = (),
    policy: PolicyDenial | None = None,
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
        retry_after_seconds=policy.retry_after_seconds if policy else None,
    )
