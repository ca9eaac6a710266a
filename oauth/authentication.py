"""Authentication of clients (RFC 6749 section 2.3, RFC 7523 section 2.2)."""

from collections.abc import Mapping

from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import authenticate_client
from core.actor import Actor
from core.errors import NotAuthenticated
from core.http import BasicCredential, read_basic
from oauth.assertions import ASSERTION_TYPE, authenticate_by_assertion, stated_client_id
from oauth.errors import OAuthError
from oauth.parameters import Parameters


def authenticate(headers: Mapping[str, str], form: Parameters, actor: Actor) -> tuple[Agent, Actor]:
    """Return the authenticated client, and it as the actor. A public client only sends its `client_id`.

    Raises `InvalidClient`, `Throttled`, and `OAuthError` if it uses more than one method (RFC 6749 section 2.3).
    """
    basic = _client_basic(headers)
    used = [basic is not None, bool(form.get("client_secret")), bool(form.get("client_assertion"))]
    if sum(used) > 1:
        raise OAuthError("invalid_request", "Use only one method of client authentication.")
    if basic is not None:
        agent = _by_basic(actor, basic, form.get("client_id"))
    elif form.get("client_assertion"):
        agent = _by_assertion(actor, form)
    elif form.get("client_secret"):
        secret = form.get("client_secret")
        agent = authenticate_client(actor=actor, client_id=form.require("client_id"), client_secret=secret)
    else:
        agent = _public_client(form.get("client_id"))
    return agent, actor.acting_as("agent", agent.id)


def _client_basic(headers: Mapping[str, str]) -> BasicCredential | None:
    """Return the client's HTTP Basic credential. None without one. Raises `InvalidClient` for an unreadable one."""
    try:
        return read_basic(headers)
    except NotAuthenticated as error:
        raise InvalidClient(error.detail) from error


def _by_basic(actor: Actor, basic: BasicCredential, client_id: str) -> Agent:
    if client_id and client_id != basic.name:
        raise OAuthError("invalid_request", "client_id must be the same as in the Authorization header.")
    return authenticate_client(actor=actor, client_id=basic.name, client_secret=basic.secret)


def _by_assertion(actor: Actor, form: Parameters) -> Agent:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}.")
    assertion = form.get("client_assertion")
    client_id = form.get("client_id") or stated_client_id(assertion)
    return authenticate_by_assertion(actor=actor, client_id=client_id, assertion=assertion)


def _public_client(client_id: str) -> Agent:
    if not client_id:
        raise InvalidClient("client_id is missing.")
    agent = agent_for_client_id(client_id)
    if agent is None or agent.is_confidential:
        raise InvalidClient("The client is unknown or must authenticate with a secret or an assertion.")
    return agent
