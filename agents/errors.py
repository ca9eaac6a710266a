"""Errors about clients and agents."""

from core.errors import DomainError, Forbidden, NotAuthenticated


class InvalidClient(NotAuthenticated):
    """The client is unknown, or its credentials are wrong (RFC 6749 section 5.2)."""

    code = "invalid_client"
    title = "The client credentials are wrong"


class UnknownClient(DomainError):
    """A request without credentials names a client that does not exist or may not make requests."""

    code = "invalid_client"
    title = "Unknown client"


class StockClientUnproved(DomainError):
    """A stock client's id is public, so a request with the id alone could come from anyone."""

    code = "invalid_client"
    title = "A self-registered client must authenticate for this request"


class AgentSuspended(Forbidden):
    """The developer has suspended the agent, or an administrator has stopped it."""

    code = "agent_suspended"
    title = "The agent is suspended"


class InvalidRedirectUri(DomainError):
    """The redirect URI is not registered, so never redirect to it (RFC 6749 section 3.1.2.4)."""

    code = "invalid_redirect_uri"
    title = "The redirect URI is not registered for this agent"
