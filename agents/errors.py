"""What can be refused to a client."""

from core.errors import DomainError, Forbidden, NotAuthenticated


class InvalidClient(NotAuthenticated):
    """Unknown client, or a wrong secret (RFC 6749 section 5.2)."""

    code = "invalid_client"
    title = "The client credentials are wrong"


class UnknownClient(DomainError):
    """A request names a client that does not exist or may not ask, before any credential is at stake."""

    code = "invalid_client"
    title = "Unknown client"


class StockClientUnproved(DomainError):
    """Anyone knows the id of a stock client, so the id alone makes no link in its name."""

    code = "invalid_client"
    title = "A client that registered itself must authenticate here"


class AgentSuspended(Forbidden):
    """Its developer has suspended the agent, or an administrator has stopped it."""

    code = "agent_suspended"
    title = "The agent is suspended"


class InvalidRedirectUri(DomainError):
    """RFC 6749 section 3.1.2.4: never redirect to what was not registered."""

    code = "invalid_redirect_uri"
    title = "The redirect URI is not registered for this agent"
