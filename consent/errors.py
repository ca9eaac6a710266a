"""Errors about consents."""

from core.errors import Conflict, Forbidden, Gone
from resources.errors import InvalidScope


class ConsentAlreadyDecided(Conflict):
    code = "consent_already_decided"
    title = "This request was already decided"
    remedy = "Read the consent to see its status. To change what is granted, ask for consent again."


class ConnectionChanged(Conflict):
    code = "connection_changed"
    title = "What this agent may do has changed since it was shown"
    remedy = "Show the updated request to the user again."


class NotConnected(Conflict):
    code = "not_connected"
    title = "The connection has ended"
    remedy = "Read the consent to see its status. An agent without a connection can do nothing that could be paused."


class OthersPause(Forbidden):
    """Only the user who is acted for pauses an agent or lifts the pause."""

    title = "Only the user can pause or resume an agent"


class ConsentExpired(Gone):
    code = "consent_expired"
    title = "This request has expired"
    remedy = "Ask for consent again. A request can be decided for 10 minutes."


class OtherBrowser(Forbidden):
    """The request was started in another browser. The sender of the link could receive the code there."""

    code = "other_browser"
    title = "This request was started in another browser"
    remedy = "Open the request in the browser that started it, or start again in this one."


class NothingToGrant(InvalidScope):
    """The developer has removed every requested scope from the agent since the request."""

    title = "No requested scope can be allowed any longer"
