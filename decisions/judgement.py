"""The judgement of a question by its facts: pure, without I/O. Limits are counted afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from decisions.checks import first_reason, missing_scopes
from decisions.facts import AgentFacts, CallerFacts, ServiceFacts, TokenFacts
from decisions.questions import Question
from decisions.requests import CALLER_REFUSED, UNKNOWN_TOKEN, Decision, Reason
from policies.books import PolicyBook
from policies.engine import CompiledPolicy, Limit, PolicyDenial, evaluate
from policies.rules import RuleContext
from tokens.access_tokens import Claims


class Found(NamedTuple):
    """What the store found for one question.

    `service` is the resource server that authenticated or, for an anonymous caller, the one that it names. `agent` is
    only looked up if the token's row is deleted. The books are the policies of the agent's and the service's
    organization.
    """

    token: TokenFacts | None
    agent: AgentFacts | None
    caller: CallerFacts | None
    service: ServiceFacts | None
    agent_book: PolicyBook | None
    service_book: PolicyBook | None

    @property
    def organization_id(self) -> str | None:
        """The agent's organization. None for a stock client, and if the agent is deleted."""
        source = self.token or self.agent
        return source.organization_id if source else None


@dataclass(slots=True)
class Judgement:
    """A decision so far, with the limits that must still be counted.

    `service_organization_id` is the other organization whose log the decision belongs to. It is None if no service
    asks, or if the token is not for the service that an anonymous caller names: otherwise the holder of any token could
    write to any organization's log.
    """

    question: Question
    decision: Decision
    organization_id: str | None = None
    service_organization_id: str | None = None
    limits: tuple[Limit, ...] = ()
    denying_organization_id: str | None = None
    is_logged: bool = True

    def deny_by_limit(self, token: TokenFacts, found: Found, index: int, retry_after_seconds: int | None) -> None:
        """Turn the decision into a denial, because the limit with this index is full."""
        denial = self.limits[index].denial(retry_after_seconds)
        self.decision = _describe(token, policy=denial)
        self.denying_organization_id = _owner(denial, found, self)


def judge(question: Question, found: Found, now: datetime) -> Judgement:
    """Decide everything except the limits."""
    credential = question.request.credential
    if credential is not None and not _is_authentic(credential.server_id, found.caller, now):
        return Judgement(question, CALLER_REFUSED, is_logged=False)
    if question.claims is None:
        return Judgement(question, UNKNOWN_TOKEN, is_logged=False)
    if found.token is None:
        return _judge_deleted(question, question.claims, found, now)
    return _judge_stored(question, found.token, found, now)


def _judge_stored(question: Question, token: TokenFacts, found: Found, now: datetime) -> Judgement:
    request = question.request
    affected = _affected(question, found.service, token.audience, token.organization_id)
    judgement = Judgement(question, UNKNOWN_TOKEN, token.organization_id, affected)
    reason = first_reason(token, found.service, request.required_scopes, now)
    if reason is not None:
        missing = missing_scopes(token, request.required_scopes) if reason is Reason.INSUFFICIENT_SCOPE else ()
        judgement.decision = _describe(token, reason=reason, missing=missing)
        return judgement
    if request.is_introspection:
        judgement.decision = _describe(token)
        return judgement
    evaluation = evaluate(_policies(token, found, affected), _rule_context(question, token, now))
    judgement.decision = _describe(token, policy=evaluation.denied_by)
    judgement.limits = evaluation.limits
    judgement.denying_organization_id = _owner(evaluation.denied_by, found, judgement)
    return judgement


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
    )
    own = found.organization_id
    return Judgement(question, decision, own, _affected(question, found.service, claims.audience, own))


def _is_authentic(server_id: str, caller: CallerFacts | None, now: datetime) -> bool:
    return caller is not None and caller.server_id == server_id and caller.is_live_at(now)


def _affected(
    question: Question, service: ServiceFacts | None, audience: Sequence[str], organization_id: str | None
) -> str | None:
    """Return the organization of the service that the request affects, or None."""
    if service is None:
        return None
    is_caller = question.request.credential is not None
    return service.organization_id if is_caller or service.accepts(audience, organization_id) else None


def _policies(token: TokenFacts, found: Found, affected: str | None) -> Sequence[CompiledPolicy]:
    """Return the policies that apply: those of the agent's organization, and of the service's if it is another one."""
    own = found.agent_book.for_agent(token.agent_id) if found.agent_book else ()
    if found.service_book is None or affected is None or affected == token.organization_id:
        return own
    return (*own, *found.service_book.for_agent(token.agent_id))


def _owner(denial: PolicyDenial | None, found: Found, judgement: Judgement) -> str | None:
    """Return the organization whose policy denied, or None if no policy did."""
    if denial is None:
        return None
    own = found.agent_book.for_agent(judgement.decision.agent_id or "") if found.agent_book else ()
    is_own = any(policy.id == denial.policy_id for policy in own)
    return judgement.organization_id if is_own else judgement.service_organization_id


def _rule_context(question: Question, token: TokenFacts, now: datetime) -> RuleContext:
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
    )


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
    )
