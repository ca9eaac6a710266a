"""Introspection (RFC 7662): whether a token is live for a resource server. It evaluates no policies and counts nothing.

A service that is about to act asks verify instead.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import orjson
from django.conf import settings

from consent.targets import granted_details
from core.actor import Actor
from core.chains import Link
from core.errors import NotAuthenticated
from core.messages import Reply, Request
from decisions.callers import read_credential
from decisions.inquiries import DirectEndpoint, Inquiry
from decisions.requests import Decision, VerifyRequest
from oauth.errors import as_oauth_error, error_reply
from oauth.parameters import Parameters, read_directly
from oauth.responses import ANY_ORIGIN, HEADERS


def introspection_inquiry(form: Parameters, headers: Mapping[str, str], actor: Actor) -> Inquiry:
    """Return the inquiry of a request. Raises `OAuthError` without a token, and `NotAuthenticated`."""
    credential = read_credential(headers)
    if credential is None:
        raise NotAuthenticated("A resource server must authenticate with HTTP Basic.")
    request = VerifyRequest(
        token=form.require("token"), required_scopes=(), actor=actor, credential=credential, is_introspection=True
    )
    return Inquiry([request], _show)


def introspect_directly(request: Request, actor: Actor) -> Inquiry:
    """Read a request in the event loop. Unusual requests, such as invalid ones, are left to Django's view."""
    return introspection_inquiry(read_directly(request), request.headers, actor)


def _show(decisions: Sequence[Decision]) -> Reply:
    (decision,) = decisions
    return Reply(200, HEADERS, orjson.dumps(_describe(decision) if decision.allowed else {"active": False}))


def _describe(decision: Decision) -> dict[str, object]:
    """Return the members of RFC 7662 section 2.2 and RFC 9396 section 9.2, and the ids of the agent and consent."""
    expires_at = cast("datetime", decision.expires_at)  # an allowed decision has one
    consent = {"consent_id": decision.consent_id} if decision.consent_id else {}
    details = granted_details(decision.targets, decision.granted_scopes)
    return {
        "active": True,
        "iss": settings.JWT_ISSUER,
        "sub": decision.user_id or decision.client_id,
        "aud": decision.audience[0] if len(decision.audience) == 1 else list(decision.audience),
        "client_id": decision.client_id,
        "scope": " ".join(decision.granted_scopes),
        "token_type": "Bearer",
        "jti": decision.token_id,
        "exp": int(expires_at.timestamp()),
        "agent_id": decision.agent_id,
        **consent,
        **(show_chain(decision.chain) if decision.chain else _issued(expires_at)),
        **({"authorization_details": details} if details else {}),
    }


def _issued(expires_at: datetime) -> dict[str, object]:
    """Return when a token was issued by which its agent does no work of others: those may end with a delegation."""
    return {"iat": int((expires_at - settings.ACCESS_TOKEN_LIFETIME).timestamp())}


def show_chain(chain: Sequence[Link]) -> dict[str, object]:
    """Return the actor and the chain as in a decision. The token itself has the claim `act` (RFC 8693 section 4.1)."""
    shown = [{"agent_id": link.agent_id, "delegation_id": link.delegation_id} for link in chain]
    return {"actor": shown[-1], "chain": shown}


def _fail(error: BaseException, request_id: str) -> Reply:
    return error_reply(as_oauth_error(error, is_basic=True))


ENDPOINTS = {"/oauth/introspect": DirectEndpoint(introspect_directly, _fail, ANY_ORIGIN)}
