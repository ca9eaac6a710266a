"""Credentials of agents: HTTP Basic (RFC 7617, RFC 6749 section 2.3.1), or in the body."""

from rest_framework.request import Request

from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import authenticate_client
from api.v1.schemas.tokens import ClientBody
from core.actor import Actor
from core.errors import DomainError, NotAuthenticated
from core.http import read_basic


class DuplicateClientCredentials(DomainError):
    """RFC 6749 section 2.3: a client must not use more than one authentication method per request."""

    code = "invalid_request"
    title = "Client credentials must be sent in only one place"
    remedy = "Send the client credentials in the body or as HTTP Basic, not both."


def client_of(request: Request, body: ClientBody, actor: Actor) -> Agent:
    """Return the authenticated agent. A public client has no secret, so its id is enough.

    Raises `InvalidClient`, including for a missing client id, `Throttled` or `DuplicateClientCredentials`.
    """
    client_id, secret = _sent_credentials(request, body)
    if not client_id:
        raise InvalidClient("Send clientId and clientSecret, or use HTTP Basic.")
    if secret is None:
        agent = agent_for_client_id(client_id)
        if agent is not None and not agent.is_confidential:
            return agent
    return authenticate_client(actor=actor, client_id=client_id, client_secret=secret or "")


def has_client_credentials(request: Request, body: ClientBody) -> bool:
    """Return whether the request contains a client id or secret, valid or not."""
    return has_client_secret(request, body) or body.client_id is not None


def has_client_secret(request: Request, body: ClientBody) -> bool:
    """Return whether the request tries to authenticate the client, rather than only naming its id."""
    return "Authorization" in request.headers or body.client_secret is not None


def _sent_credentials(request: Request, body: ClientBody) -> tuple[str, str | None]:
    """Return the client id, or "", and the client secret, or None."""
    try:
        basic = read_basic(request.headers)
    except NotAuthenticated as error:
        raise InvalidClient(error.detail) from error
    if basic is None:
        return body.client_id or "", body.client_secret
    if body.client_secret is not None or body.client_id not in (None, basic.name):
        raise DuplicateClientCredentials("Send client credentials in the body or as HTTP Basic, not both.")
    return basic.name, basic.secret
