"""Credentials of agents and resource servers: HTTP Basic (RFC 7617, RFC 6749 section 2.3.1), or in the body."""

from base64 import b64decode
from urllib.parse import unquote_plus

from rest_framework.request import Request

from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import authenticate_client
from api.v1.schemas.tokens import ClientBody
from core.actor import Actor
from core.errors import DomainError, NotAuthenticated
from resources.models import ResourceServer
from resources.services import authenticate_resource_server

BASIC_CHALLENGE = 'Basic realm="agentgate", charset="UTF-8"'


class CredentialsTwice(DomainError):
    """RFC 6749 section 2.3: a client uses one method of authentication in a request."""

    code = "invalid_request"
    title = "Client credentials must be sent in only one place"


def client_of(request: Request, body: ClientBody, actor: Actor) -> Agent:
    """Return the agent that asks. A public one has no secret to prove.

    Raises `InvalidClient`, also when no client is named, `Throttled`, `CredentialsTwice`.
    """
    client_id, secret = _presented(request, body)
    if not client_id:
        raise InvalidClient("Send clientId and clientSecret, or HTTP Basic.")
    if secret is None:
        agent = agent_for_client_id(client_id)
        if agent is not None and not agent.is_confidential:
            return agent
    return authenticate_client(actor=actor, client_id=client_id, client_secret=secret or "")


def is_client_presented(request: Request, body: ClientBody) -> bool:
    """Return whether the request holds client credentials, right or wrong."""
    return is_secret_presented(request, body) or body.client_id is not None


def is_secret_presented(request: Request, body: ClientBody) -> bool:
    """Return whether the request tries to prove who the client is, and does not merely name it."""
    return "Authorization" in request.headers or body.client_secret is not None


def resource_server_of(request: Request, actor: Actor) -> ResourceServer | None:
    """Return the resource server that asks by HTTP Basic. None without a credential.

    Raises `NotAuthenticated`, `Throttled`.
    """
    basic = _basic(request)
    if basic is None:
        return None
    return authenticate_resource_server(actor=actor, server_id=basic[0], secret=basic[1])


def _presented(request: Request, body: ClientBody) -> tuple[str, str | None]:
    try:
        basic = _basic(request)
    except NotAuthenticated as error:
        raise InvalidClient(error.detail) from error
    if basic is None:
        return body.client_id or "", body.client_secret
    if body.client_secret is not None or body.client_id not in (None, basic[0]):
        raise CredentialsTwice("Send client credentials in the body or as HTTP Basic, not both.")
    return basic


def _basic(request: Request) -> tuple[str, str] | None:
    """Return user and password of HTTP Basic. None without `Authorization`. Raises `NotAuthenticated`."""
    header = request.headers.get("Authorization")
    return None if header is None else basic_credential(header)


def basic_credential(header: str) -> tuple[str, str]:
    """Return user and password of a Basic credential. Raises `NotAuthenticated`."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        decoded = ""
    user, colon, password = decoded.partition(":")
    user, password = unquote_plus(user), unquote_plus(password)
    # PostgreSQL takes no NUL, not even to look it up.
    if not colon or "\0" in user + password:
        raise NotAuthenticated("Use HTTP Basic with an id and a secret.")
    return user, password
