"""Introspection (RFC 7662): whether a token is live for a resource server. It evaluates no policies and counts nothing.

A service that is about to act calls `decide` instead.
"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from audit.events import Event, Outcome
from audit.records import Draft
from audit.services import append
from core import clock
from core.actor import Actor
from core.locks import deciding
from decisions.checks import first_reason
from decisions.facts import DeletedToken, Facts, load_facts
from decisions.requests import Reason, VerifyRequest
from resources.models import ResourceServer
from tokens.access_tokens import Claims, read_access_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """A live token. `user_id` and `consent_id` are None for client credentials."""

    token_id: str
    client_id: str
    agent_id: str
    user_id: str | None
    consent_id: str | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


def introspect_token(*, actor: Actor, server: ResourceServer, token: str) -> Introspection | None:
    """Return the token if it is live and for this server, or None. Only tokens that we signed are logged."""
    claims = read_access_token(token)
    if claims is None:
        return None
    with deciding():
        request = VerifyRequest(token=token, required_scopes=(), actor=actor, resource_server=server)
        (facts,) = load_facts([(request, claims)])
        now = clock.now()
        reason = first_reason(facts, request, now) if isinstance(facts, Facts) else Reason.TOKEN_REVOKED
        append([_draft(claims, facts, reason, actor, server)], at=now)
    return None if reason or isinstance(facts, DeletedToken) else _describe(facts)


def _describe(facts: Facts) -> Introspection:
    token = facts.token
    return Introspection(
        token_id=token.id,
        client_id=token.application.client_id,
        agent_id=token.application_id,
        user_id=token.user_id,
        consent_id=token.family.consent_id,
        scopes=facts.granted_scopes,
        audience=tuple(facts.audience),
        issued_at=token.expires - settings.ACCESS_TOKEN_LIFETIME,
        expires_at=token.expires,
    )


def _draft(
    claims: Claims, facts: Facts | DeletedToken, reason: Reason | None, actor: Actor, server: ResourceServer
) -> Draft:
    return Draft(
        event=Event.TOKEN_INTROSPECTED,
        outcome=Outcome.DENIED if reason else Outcome.ALLOWED,
        actor=actor,
        organization_id=facts.organization_id,
        service_organization_ids=[server.organization_id],
        user_id=claims.user_id,
        agent_id=facts.agent.id if facts.agent else None,
        consent_id=claims.consent_id,
        reason=reason,
        metadata={"tokenId": claims.token_id, "resourceServerId": server.id},
    )
