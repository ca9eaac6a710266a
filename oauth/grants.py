"""The grant types (RFC 6749 sections 4.1.3, 4.4.2 and 6, RFC 8693). Each calls the same service as the JSON API."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agents.models import Agent
from core.actor import Actor
from core.http import named_client
from core.idempotency import TOKEN_ANSWER_LIFETIME, Answer, RepeatableRequest, answer_once
from core.messages import NotDirect, Reply, Request, ThreadEndpoint, ThreadWork
from oauth.authentication import authenticate
from oauth.authorization import OFFLINE, resource_identifiers
from oauth.details import read_details
from oauth.errors import OAuthError, as_oauth_error, error_reply
from oauth.introspection import show_chain
from oauth.metadata import TOKEN_EXCHANGE
from oauth.parameters import Parameters, read_directly
from oauth.responses import ANY_ORIGIN, HEADERS
from tokens.exchange import exchange_code, redeem_delegation
from tokens.issuing import IssuedTokens, Refusal, require_issued
from tokens.refresh import refresh_tokens
from tokens.services import issue_client_token

DELEGATION = "urn:agentgate:params:oauth:token-type:delegation"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
HINT = (
    f"subject_token_type must be {DELEGATION}. An agent hands its access on by POST /api/v1/delegations, and gives "
    "the delegation token to the other agent."
)

Grant = Callable[[Parameters, Agent, Actor], IssuedTokens | Refusal]


def authorization_code(form: Parameters, agent: Agent, actor: Actor) -> IssuedTokens | Refusal:
    """Exchange a code. `redirect_uri` is optional, since the code is bound to it anyway (OAuth 2.1 section 4.1.3)."""
    return exchange_code(
        actor=actor,
        agent=agent,
        code=form.require("code"),
        code_verifier=form.get("code_verifier"),
        redirect_uri=form.get("redirect_uri") or None,
        resource=resource_identifiers(form),
        details=read_details(form),
    )


def refresh_token(form: Parameters, agent: Agent, actor: Actor) -> IssuedTokens | Refusal:
    """Refresh tokens. Public clients may repeat a lost request. Others send an `Idempotency-Key` instead (ADR 3)."""
    return refresh_tokens(
        actor=actor,
        agent=agent,
        refresh_token=form.require("refresh_token"),
        scopes=_scopes(form) or None,
        resource=resource_identifiers(form),
        details=read_details(form),
        is_repeatable=not agent.is_confidential,
    )


def client_credentials(form: Parameters, agent: Agent, actor: Actor) -> IssuedTokens | Refusal:
    """Issue a token without a user. Authorization details are refused, because no user bounds its scopes."""
    if read_details(form) is not None:
        return Refusal(
            "invalid_authorization_details", "With client_credentials, no user grants authorization details."
        )
    return issue_client_token(actor=actor, agent=agent, scopes=_scopes(form), resource=resource_identifiers(form))


def token_exchange(form: Parameters, agent: Agent, actor: Actor) -> IssuedTokens | Refusal:
    """Redeem a delegation token (RFC 8693 section 2.1). The client itself is the actor, so it sends no actor token.

    `audience` is read like `resource`: both name services by their identifiers.
    """
    token = form.require("subject_token")
    if form.require("subject_token_type") != DELEGATION:
        raise OAuthError("invalid_request", HINT)
    if form.get("requested_token_type") not in ("", ACCESS_TOKEN):
        raise OAuthError("invalid_request", f"requested_token_type must be {ACCESS_TOKEN}.")
    if form.get("actor_token") or form.get("actor_token_type"):
        raise OAuthError("invalid_request", "The client that authenticates is the actor. Leave out actor_token.")
    if not agent.is_confidential:
        return Refusal("unauthorized_client", "A client without a secret may not exchange tokens.")
    if read_details(form) is not None:
        return Refusal("invalid_authorization_details", "A token has all details of its delegation. Leave this out.")
    resource = resource_identifiers(form, "audience")
    return redeem_delegation(actor=actor, agent=agent, token=token, scopes=_scopes(form) or None, resource=resource)


GRANTS: dict[str, Grant] = {
    "authorization_code": authorization_code,
    "refresh_token": refresh_token,
    "client_credentials": client_credentials,
    TOKEN_EXCHANGE: token_exchange,
}


def find_grant(form: Parameters) -> Grant:
    """Return the requested grant. Raises `unsupported_grant_type` or `invalid_request`."""
    grant = GRANTS.get(form.require("grant_type"))
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"grant_type must be one of {', '.join(GRANTS)}.")
    return grant


def issue(form: Parameters, headers: Mapping[str, str], actor: Actor) -> Reply:
    """Answer `POST /oauth/token`. Raises `OAuthError` and `DomainError`."""
    grant = find_grant(form)
    agent, client = authenticate(headers, form, actor)
    answer = _redeem(grant, form, agent, client, headers.get("idempotency-key"))
    return Reply(answer.status, HEADERS, json.dumps(answer.body).encode())


def _read_directly(request: Request, actor: Actor) -> ThreadWork:
    form = read_directly(request)
    # The keys of an assertion may have to be fetched from the client's server, for seconds.
    if "cookie" in request.headers or form.get("client_assertion"):
        raise NotDirect
    client_id = named_client(request.headers, form.get("client_id"))
    return ThreadWork(client_id, partial(issue, form, request.headers, actor))


def _fail(error: BaseException, request: Request, request_id: str) -> Reply:
    return error_reply(as_oauth_error(error, is_basic="authorization" in request.headers))


def _redeem(grant: Grant, form: Parameters, agent: Agent, actor: Actor, idempotency_key: str | None) -> Answer:
    """Return the response.

    A refresh or token exchange repeated with the same key within 60 seconds gets the stored response.
    """

    def work() -> Answer:
        return _answer(grant(form, agent, actor), is_exchange=grant is token_exchange)

    if idempotency_key is None or grant not in (refresh_token, token_exchange):
        return work()
    request = RepeatableRequest(
        key=idempotency_key,
        path="/oauth/token",
        credential=agent.client_id,
        body=form.fingerprint(),
        lifetime=TOKEN_ANSWER_LIFETIME,
    )
    return answer_once(request, work)


def _answer(outcome: IssuedTokens | Refusal, *, is_exchange: bool = False) -> Answer:
    """Return the response, for token exchange with the type of token (RFC 8693 section 2.2.1).

    Raises `EverythingStopped`.
    """
    outcome = require_issued(outcome)
    if isinstance(outcome, Refusal):
        return Answer(400, OAuthError(outcome.code, outcome.detail).parameters)
    body: dict[str, Any] = {
        "access_token": outcome.access_token,
        "token_type": "Bearer",
        "expires_in": outcome.expires_in,
        "scope": " ".join(outcome.scopes),
    }
    if is_exchange:
        body["issued_token_type"] = ACCESS_TOKEN
    if outcome.links:
        # Whose work it is, which the client of a code knows from the user whom it sent here.
        body |= {"user_id": outcome.family.user_id, "delegation_id": outcome.family.delegation_id}
        body |= show_chain(outcome.links)
    if outcome.refresh_token is not None:
        body["refresh_token"] = outcome.refresh_token
    if outcome.authorization_details:
        body["authorization_details"] = outcome.authorization_details
    return Answer(200, body)


def _scopes(form: Parameters) -> list[str]:
    return [scope for scope in form.words("scope") if scope != OFFLINE]


ENDPOINTS = {"/oauth/token": ThreadEndpoint(_read_directly, _fail, ANY_ORIGIN)}
