"""Who calls: client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2) and that of resource servers."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_plus

from django.http import HttpRequest

from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import authenticate_client
from core.actor import Actor, visitor
from core.errors import NotAuthenticated
from oauth.assertions import ASSERTION_TYPE, authenticate_by_assertion, stated_client_id
from oauth.errors import OAuthError
from oauth.parameters import Parameters, is_clean
from resources.models import ResourceServer
from resources.services import authenticate_resource_server


@dataclass(frozen=True, slots=True)
class BasicCredential:
    """The two halves of an `Authorization: Basic` header."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"BasicCredential({self.name!r})"


def authenticate(request: HttpRequest, form: Parameters) -> tuple[Agent, Actor]:
    """Return the client, by whichever one method it used, and the actor that it is. A public client names itself only.

    Raises `InvalidClient`, `Throttled`, and `OAuthError` for more than one method (RFC 6749 section 2.3).
    """
    basic = read_basic(request)
    used = [basic is not None, bool(form.get("client_secret")), bool(form.get("client_assertion"))]
    if sum(used) > 1:
        raise OAuthError("invalid_request", "Use only one method of client authentication.")
    actor = visitor(request)
    if basic is not None:
        agent = _by_basic(actor, basic, form.get("client_id"))
    elif form.get("client_assertion"):
        agent = _by_assertion(actor, form)
    elif form.get("client_secret"):
        secret = form.get("client_secret")
        agent = authenticate_client(actor=actor, client_id=form.require("client_id"), client_secret=secret)
    else:
        agent = _by_name(form.get("client_id"))
    return agent, actor.acting_as("agent", agent.id)


def authenticate_service(request: HttpRequest) -> tuple[ResourceServer, Actor]:
    """Return the resource server that asks. Raises `NotAuthenticated`, `Throttled`."""
    basic = read_basic(request)
    if basic is None:
        raise NotAuthenticated("A resource server authenticates with HTTP Basic.")
    actor = visitor(request)
    server = authenticate_resource_server(actor=actor, server_id=basic.name, secret=basic.secret)
    return server, actor.acting_as("service", server.id)


def read_basic(request: HttpRequest) -> BasicCredential | None:
    """Return what `Authorization: Basic` holds, decoded (RFC 6749 section 2.3.1). None without the header.

    Raises `InvalidClient` for a header of another scheme or shape.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Use HTTP Basic.")
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidClient("The Authorization header cannot be read.") from error
    credential = BasicCredential(unquote_plus(name), unquote_plus(secret))
    if not colon or not name or not is_clean([credential.name, credential.secret]):
        raise InvalidClient("The Authorization header has no client id and secret.")
    return credential


def _by_basic(actor: Actor, basic: BasicCredential, client_id: str) -> Agent:
    if client_id and client_id != basic.name:
        raise OAuthError("invalid_request", "client_id differs from the one in the Authorization header.")
    return authenticate_client(actor=actor, client_id=basic.name, client_secret=basic.secret)


def _by_assertion(actor: Actor, form: Parameters) -> Agent:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}.")
    assertion = form.get("client_assertion")
    client_id = form.get("client_id") or stated_client_id(assertion)
    return authenticate_by_assertion(actor=actor, client_id=client_id, assertion=assertion)


def _by_name(client_id: str) -> Agent:
    if not client_id:
        raise InvalidClient("The client did not identify itself.")
    agent = agent_for_client_id(client_id)
    if agent is None or agent.is_confidential:
        raise InvalidClient("The client is unknown or must authenticate.")
    return agent
