"""Errors about clients and agents."""

from django.utils.translation import gettext_noop

from core.errors import DomainError, Forbidden, NotAuthenticated, Unavailable


class InvalidClient(NotAuthenticated):
    """The client is unknown, or its credentials are wrong (RFC 6749 section 5.2)."""

    code = "invalid_client"
    title = gettext_noop("The client credentials are wrong")
    remedy = "Check clientId and clientSecret, or rotate the secret. With HTTP Basic, percent-encode both."


class UnknownClient(DomainError):
    """A request without credentials names a client that does not exist or may not make requests."""

    code = "invalid_client"
    title = gettext_noop("Unknown client")
    remedy = "Check clientId: it starts with agc_, and GET /api/v1/agents shows it."


class StockClientUnauthenticated(DomainError):
    """A stock client's id is public, so anyone could send a request with only the id."""

    code = "invalid_client"
    title = gettext_noop("A self-registered client must authenticate for this request")
    remedy = "Send the client secret. A client without one starts at /oauth/authorize."


class AgentSuspended(Forbidden):
    """The developer has suspended the agent, or an administrator has stopped it."""

    code = "agent_suspended"
    title = gettext_noop("The agent is suspended")
    remedy = "Set the agent's status to active. If stop is not null, ask the operator of this server to lift it."


class EverythingStopped(Unavailable):
    """An administrator has stopped all agents: no access is granted and no token is issued until the stop is lifted.

    The status is 503, so that clients try again later and keep their codes and tokens.
    """

    code = "everything_stopped"
    title = gettext_noop("All agents are stopped")
    remedy = "Wait until an administrator of this server lifts the stop. What users have allowed is kept."
    retry_after = 60


class InvalidRedirectUri(DomainError):
    """The redirect URI is not registered, so never redirect to it (RFC 6749 section 3.1.2.4)."""

    code = "invalid_redirect_uri"
    title = gettext_noop("The redirect URI is not registered for this agent")
    remedy = "Send one of the agent's redirectUris exactly. Only the port of a loopback host may differ."
