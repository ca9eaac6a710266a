"""What can be refused about a consent."""

from core.errors import Conflict, Forbidden, Gone
from resources.errors import InvalidScope


class ConsentAlreadyDecided(Conflict):
    code = "consent_already_decided"
    title = "This request has been decided"


class ConnectionChanged(Conflict):
    code = "connection_changed"
    title = "What this agent may do has changed since it was shown"


class ConsentExpired(Gone):
    code = "consent_expired"
    title = "This request has expired"


class OtherBrowser(Forbidden):
    """The request was started in another browser: whoever sent the link here may be waiting for the code there."""

    code = "other_browser"
    title = "This request was started in another browser"


class NothingToGrant(InvalidScope):
    """Since the request was made, the developer has taken from the agent every scope that it asks for."""

    title = "Nothing is left to allow"
