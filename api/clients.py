"""Credentials of agents and resource servers: HTTP Basic (RFC 7617, RFC 6749 section 2.3.1), or in the body."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_noop

from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import authenticate_client, require_may_act
from api.authentication import API_KEY_HEADER, MultipleCredentials
from api.endpoint import Endpoint, UserEndpoint
from api.v1.schemas.tokens import ClientBody
from core.actor import Actor
from core.errors import DomainError, NotAuthenticated
from core.http import BASIC_CHALLENGE, BasicCredential, read_basic
from developers.services import require_organization
from resources.audiences import SUSPENDED
from resources.authentication import authenticate_resource_server
from resources.errors import ServiceSuspended
from resources.models import ResourceServer

SERVER_PREFIX = "res_"
REQUIRED = "Authenticate as a resource server: send res_...:rs_... as HTTP Basic."


class DuplicateClientCredentials(DomainError):
    """RFC 6749 section 2.3: a client must not use more than one authentication method per request."""

    code = "invalid_request"
    title = gettext_noop("Client credentials must be sent in only one place")
    remedy = "Send the client credentials in the body or as HTTP Basic, not both."


def client_of(headers: Mapping[str, str], body: ClientBody, actor: Actor) -> Agent:
    """Return the authenticated agent. A public client has no secret, so its id is enough.

    Raises `InvalidClient`, including for a missing client id, `Throttled` or `DuplicateClientCredentials`.
    """
    client_id, secret = _sent_credentials(headers, body)
    if not client_id:
        raise InvalidClient("Send clientId and clientSecret, or use HTTP Basic.")
    if secret is None:
        agent = agent_for_client_id(client_id)
        if agent is not None and not agent.is_confidential:
            return agent
    return authenticate_client(actor=actor, client_id=client_id, client_secret=secret or "")


def has_client_credentials(headers: Mapping[str, str], body: ClientBody) -> bool:
    """Return whether the request contains a client id or secret, valid or not."""
    return has_client_secret(headers, body) or body.client_id is not None


def has_client_secret(headers: Mapping[str, str], body: ClientBody) -> bool:
    """Return whether the request tries to authenticate the client, rather than only naming its id."""
    return "authorization" in headers or body.client_secret is not None


def _sent_credentials(headers: Mapping[str, str], body: ClientBody) -> tuple[str, str | None]:
    """Return the client id, or "", and the client secret, or None."""
    try:
        basic = read_basic(headers)
    except NotAuthenticated as error:
        raise InvalidClient(error.detail) from error
    if basic is None:
        return body.client_id or "", body.client_secret
    if body.client_secret is not None or body.client_id not in (None, basic.name):
        raise DuplicateClientCredentials("Send client credentials in the body or as HTTP Basic, not both.")
    return basic.name, basic.secret


class ServerEndpoint(Endpoint):
    """An endpoint for a resource server with HTTP Basic. Those of suspended organizations are refused."""

    challenge = BASIC_CHALLENGE
    server: ResourceServer

    def identify(self) -> None:
        basic = read_basic(self.request.headers)
        if basic is None:
            raise NotAuthenticated(REQUIRED)
        self.server = serving(self.actor, basic)
        self.actor = self.actor.acting_as("service", self.server.id)


class ProgramOrUserEndpoint(UserEndpoint):
    """An endpoint for an agent or a resource server with HTTP Basic, or for a user. One of the three is set.

    Suspended agents and organizations are refused.
    """

    agent: Agent | None = None
    server: ResourceServer | None = None

    def get_authenticators(self) -> list[Any]:
        """Leave HTTP Basic to `identify`. A browser's session is then ignored."""
        if not sends_basic(self.request):
            return list(super().get_authenticators())
        self.challenge = BASIC_CHALLENGE
        return []

    def identify(self) -> None:
        basic = read_basic(self.request.headers) if sends_basic(self.request) else None
        if basic is None:
            super().identify()
        elif API_KEY_HEADER in self.request.headers:
            raise MultipleCredentials("Send X-Api-Key or Authorization, not both.")
        elif basic.name.startswith(SERVER_PREFIX):
            self.server = serving(self.actor, basic)
            self.actor = self.actor.acting_as("service", self.server.id)
        else:
            self._identify_agent(basic)

    def _identify_agent(self, basic: BasicCredential) -> None:
        self.agent = authenticate_client(actor=self.actor, client_id=basic.name, client_secret=basic.secret)
        require_may_act(self.agent)
        self.actor = self.actor.acting_as("agent", self.agent.id)


def serving(actor: Actor, basic: BasicCredential) -> ResourceServer:
    """Return the resource server with this credential.

    Raises `NotAuthenticated` and `Throttled`, and `OrganizationSuspended` or `ServiceSuspended` if it may not act.
    """
    server = authenticate_resource_server(actor=actor, server_id=basic.name, secret=basic.secret)
    require_organization(server.organization)
    if not server.organization.serves:
        raise ServiceSuspended(SUSPENDED)
    return server


def sends_basic(request: Any) -> bool:
    """Return whether the credential is HTTP Basic. There is no request while the OpenAPI document is generated."""
    sent = request.headers.get("Authorization", "") if request else ""
    return bool(sent.partition(" ")[0].lower() == "basic")
