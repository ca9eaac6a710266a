"""Dynamic client registration (RFC 7591): a stock client introduces itself. Nobody vouches for what it says."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from accounts.throttles import throttle_registration
from agents.models import Agent
from agents.registration import register_stock_client
from agents.services import RegisteredAgent
from core.actor import visitor
from oauth.client_metadata import parse_client_metadata
from oauth.errors import OAuthError, answers_errors
from oauth.responses import endpoint, uncached

MAX_BODY = 64 * 1024


@endpoint("POST")
@answers_errors
def register(request: HttpRequest) -> HttpResponse:
    if not settings.OAUTH_DYNAMIC_REGISTRATION:
        raise OAuthError("access_denied", "Registration is turned off. Ask the administrator for a client id.", 403)
    document = _read(request)
    metadata = parse_client_metadata(document, Agent.AuthMethod.values, Agent.AuthMethod.BASIC)
    actor = visitor(request)
    throttle_registration(actor)
    registered = register_stock_client(actor=actor, metadata=metadata)
    return uncached(JsonResponse(_describe(registered), status=201))


def _read(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object in the body. Raises `invalid_client_metadata`."""
    if request.content_type != "application/json":
        raise OAuthError("invalid_client_metadata", "The body must be application/json.")
    try:
        document = json.loads(request.read(MAX_BODY + 1)[: MAX_BODY + 1].decode())
    except (ValueError, RecursionError) as error:
        raise OAuthError("invalid_client_metadata", "The body is not valid JSON, or it is too long.") from error
    if not isinstance(document, dict):
        raise OAuthError("invalid_client_metadata", "The body must be a JSON object.")
    return document


def _describe(registered: RegisteredAgent) -> dict[str, Any]:
    """Return what was registered (section 3.2.1), which is not always what was asked for."""
    agent = registered.agent
    secret = {"client_secret": registered.client_secret, "client_secret_expires_at": 0}
    keys: dict[str, Any] = {"jwks_uri": agent.jwks_uri} if agent.jwks_uri else {"jwks": agent.jwks}
    return {
        "client_id": agent.client_id,
        "client_id_issued_at": int(agent.created.timestamp()),
        **(secret if registered.client_secret else {}),
        "client_name": agent.name,
        "redirect_uris": agent.redirect_uri_list,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": agent.token_endpoint_auth_method,
        **(keys if agent.jwks_uri or agent.jwks else {}),
    }
