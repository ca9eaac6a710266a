"""Rehearsal of a connection: what verify would answer if a user granted this.

The same code decides as for a real request, on facts in memory. Nothing is written or logged. The counters of limits
and the memory of guards begin empty and are forgotten afterwards.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Self

from django.conf import settings

from agents.emergency import is_everything_stopped
from agents.models import Agent
from agents.stops import AgentStatus
from consent.connections import CONSENT_LIFETIME
from consent.statuses import ConsentStatus
from core import clock
from core.actor import SYSTEM
from core.canonical import canonical_json
from decisions.approvals import BatchApprovals
from decisions.basis import Found
from decisions.facts import ScopeFacts, TokenFacts
from decisions.judgement import judge
from decisions.questions import Question
from decisions.requests import Decision, VerifyRequest
from decisions.settling import Settling
from decisions.terms import NO_TERMS, Terms, compile_terms
from limits.counting import windows_by_key
from limits.flows import LoadedFlow
from limits.sliding_window import LoadedCounter
from policies.policy_sets import PolicySet
from policies.selectors import policies_without_history
from resources.catalogue import catalogue, describe_scopes
from tokens.access_tokens import Claims

AGENT, CLIENT, USER, CONSENT, TOKEN = "agt_rehearsal", "agc_rehearsal", "usr_rehearsal", "cns_rehearsal", "rehearsal"


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedAgent:
    """The agent of a rehearsal. `book` has the policies of its organization, `scopes` the facts of scopes of its own.

    Without `allowed_scopes`, the agent may use all scopes that are granted.
    """

    id: str = AGENT
    client_id: str = CLIENT
    organization_id: str | None = None
    allowed_scopes: Sequence[str] | None = None
    status: str = AgentStatus.ACTIVE
    is_stopped: bool = False
    is_everything_stopped: bool = False
    book: PolicySet | None = None
    scopes: Sequence[ScopeFacts] = ()

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """Read an agent as it is now, with the policies that its organization enforces, whose limits begin empty."""
        own = [scope for scope in describe_scopes(agent.allowed_scopes) if scope.id not in catalogue()]
        return cls(
            id=agent.id,
            client_id=agent.client_id,
            organization_id=agent.organization_id,
            allowed_scopes=agent.allowed_scopes,
            status=agent.status,
            is_stopped=agent.is_stopped,
            is_everything_stopped=is_everything_stopped(),
            book=policies_without_history(str(agent.organization_id)),
            scopes=[ScopeFacts(one.id, json.dumps(sorted(one.labels)), one.risk_level, None) for one in own],
        )


FICTIONAL = RehearsedAgent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a user grants in a rehearsal. `terms` are as `Consent.terms` stores them."""

    scopes: Sequence[str]
    terms: Mapping[str, Any] = field(default_factory=dict)
    is_revoked: bool = False
    agent: RehearsedAgent = FICTIONAL


class Call(NamedTuple):
    """A request of the agent."""

    scope: str
    context: Mapping[str, Any]
    action: str | None = None


def rehearse(rehearsed: Rehearsed | None, calls: Iterable[Call]) -> list[Decision]:
    """Decide calls one after the other: each counts in the limits of those that follow.

    Without `rehearsed`, the agent has no token.
    """
    rehearsal = _Rehearsal.begin(rehearsed)
    return [rehearsal.decide(call) for call in calls]


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """The facts, and the counters that fill from call to call."""

    found: Found
    now: datetime
    counters: dict[str, LoadedCounter] = field(default_factory=dict)
    flows: dict[str, LoadedFlow] = field(default_factory=dict)

    @classmethod
    def begin(cls, rehearsed: Rehearsed | None) -> Self:
        now = clock.now()
        return cls(_found(rehearsed, now), now)

    def decide(self, call: Call) -> Decision:
        found, now = self.found, self.now
        request = VerifyRequest(TOKEN, [call.scope], SYSTEM, context=call.context, action=call.action)
        judgement = judge(Question(request, _claims(found.token), None), found, now)
        for key, window in windows_by_key(judgement.counter_requests()).items():
            self.counters.setdefault(key, LoadedCounter(key, window))
        for key in judgement.flow_keys():
            self.flows.setdefault(key, LoadedFlow(key))
        Settling(self.counters, self.flows, BatchApprovals((), now), now).settle(judgement, found)
        return judgement.decision


def _claims(token: TokenFacts | None) -> Claims | None:
    if token is None:
        return None
    return Claims(
        token_id=token.token_id,
        client_id=token.client_id,
        user_id=token.user_id,
        consent_id=token.consent_id,
        scopes=token.granted_scopes,
        audience=token.audience,
        expires_at=token.expires_at,
    )


def _found(rehearsed: Rehearsed | None, now: datetime) -> Found:
    """Return what the store would find. No service asks, so only the policies of the agent's organization apply."""
    return Found(
        _token(rehearsed, now) if rehearsed else None,
        agent=None,
        caller=None,
        service=None,
        agent_policies=rehearsed.agent.book if rehearsed else None,
        service_policies=None,
        terms=_terms(rehearsed) if rehearsed else NO_TERMS,
        scopes=rehearsed.agent.scopes if rehearsed else (),
    )


def _terms(rehearsed: Rehearsed) -> Terms:
    """Compile the terms. They are not remembered: rehearsals must not push those of connections out of memory."""
    return compile_terms(canonical_json(rehearsed.terms).decode(), rehearsed.agent.id, USER, CONSENT)


def _token(rehearsed: Rehearsed, now: datetime) -> TokenFacts:
    agent = rehearsed.agent
    scopes = json.dumps(list(rehearsed.scopes))
    allowed = scopes if agent.allowed_scopes is None else json.dumps(list(agent.allowed_scopes))
    return TokenFacts(
        token_id=TOKEN,
        expires_at=now + settings.ACCESS_TOKEN_LIFETIME,
        scope=" ".join(rehearsed.scopes),
        audience_json=json.dumps([settings.API_URL]),
        owners_json="{}",
        is_family_revoked=False,
        removed_scopes="[]",
        user_id=USER,
        is_user_active=True,
        consent_id=CONSENT,
        consent_status=ConsentStatus.REVOKED if rehearsed.is_revoked else ConsentStatus.APPROVED,
        consent_expires_at=now + CONSENT_LIFETIME,
        consented_scopes=scopes,
        terms=None,
        is_paused=False,
        agent_id=agent.id,
        client_id=agent.client_id,
        agent_status=agent.status,
        is_agent_stopped=agent.is_stopped,
        is_stock=False,
        allowed_scopes=allowed,
        organization_id=agent.organization_id,
        is_organization_suspended=None,
        is_organization_stopped=None,
        policy_version=None,
        is_everything_stopped=agent.is_everything_stopped,
    )
