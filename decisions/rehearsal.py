"""Rehearsal of a connection: what verify would answer if a user granted this.

The same code decides as for a real request, on facts in memory. Nothing is read, written or logged.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from agents.stops import AgentStatus
from consent.statuses import ConsentStatus
from core import clock
from core.actor import SYSTEM
from core.canonical import canonical_json
from decisions.approvals import BatchApprovals
from decisions.facts import TokenFacts
from decisions.judgement import Found, judge
from decisions.questions import Question
from decisions.requests import Decision, VerifyRequest
from decisions.settling import Settling
from decisions.terms import NO_TERMS, Terms, compile_terms
from limits.counting import windows_by_key
from limits.flows import LoadedFlow
from limits.sliding_window import LoadedCounter
from tokens.access_tokens import Claims

AGENT, CLIENT, USER, CONSENT, TOKEN = "agt_rehearsal", "agc_rehearsal", "usr_rehearsal", "cns_rehearsal", "rehearsal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a user grants in a rehearsal. `terms` are as `Consent.terms` stores them."""

    scopes: Sequence[str]
    terms: Mapping[str, Any] = field(default_factory=dict)
    is_revoked: bool = False


def rehearse(rehearsed: Rehearsed | None, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Decision]:
    """Decide calls one after the other. Each is a required scope with its context.

    Without `rehearsed`, the agent has no token.
    """
    now = clock.now()
    found = _found(rehearsed, now)
    counters: dict[str, LoadedCounter] = {}
    flows: dict[str, LoadedFlow] = {}
    settling = Settling(counters, flows, BatchApprovals((), now), now)
    decisions = []
    for scope, context in calls:
        request = VerifyRequest(TOKEN, [scope], SYSTEM, context=context)
        judgement = judge(Question(request, _claims(found.token), None), found, now)
        for key, window in windows_by_key(judgement.counter_requests()).items():
            counters.setdefault(key, LoadedCounter(key, window))
        for key in judgement.flow_keys():
            flows.setdefault(key, LoadedFlow(key))
        settling.settle(judgement, found)
        decisions.append(judgement.decision)
    return decisions


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
    """Return what the store would find. No organization has policies."""
    token = _token(rehearsed, now) if rehearsed else None
    return Found(
        token,
        agent=None,
        caller=None,
        service=None,
        agent_book=None,
        service_book=None,
        terms=_terms(rehearsed) if rehearsed else NO_TERMS,
    )


def _terms(rehearsed: Rehearsed) -> Terms:
    """Compile the terms. They are not remembered: rehearsals must not push those of connections out of memory."""
    return compile_terms(canonical_json(rehearsed.terms).decode(), AGENT, USER, CONSENT)


def _token(rehearsed: Rehearsed, now: datetime) -> TokenFacts:
    scopes = json.dumps(list(rehearsed.scopes))
    return TokenFacts(
        token_id=TOKEN,
        expires_at=now + settings.ACCESS_TOKEN_LIFETIME,
        scope=" ".join(rehearsed.scopes),
        audience_json=json.dumps([settings.API_URL]),
        is_family_revoked=False,
        removed_scopes="[]",
        user_id=USER,
        is_user_active=True,
        consent_id=CONSENT,
        consent_status=ConsentStatus.REVOKED if rehearsed.is_revoked else ConsentStatus.APPROVED,
        consent_expires_at=now + settings.CONSENT_LIFETIME,
        consented_scopes=scopes,
        terms=None,
        is_paused=False,
        agent_id=AGENT,
        client_id=CLIENT,
        agent_status=AgentStatus.ACTIVE,
        is_agent_stopped=False,
        is_stock=False,
        allowed_scopes=scopes,
        organization_id=None,
        is_organization_suspended=None,
        policy_version=None,
        is_everything_stopped=False,
    )
