"""Errors about consents."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, FieldError, Forbidden, Gone, Invalid
from resources.errors import InvalidScope


class ConsentAlreadyDecided(Conflict):
    code = "consent_already_decided"
    title = gettext_noop("This request was already decided")
    remedy = "Read the consent to see its status. To change what is granted, ask for consent again."


class ConnectionChanged(Conflict):
    code = "connection_changed"
    title = gettext_noop("What this agent may do has changed since it was shown")
    remedy = "Show the updated request to the user again."


class NotConnected(Conflict):
    code = "not_connected"
    title = gettext_noop("The connection has ended")
    remedy = "Read the consent to see its status. An agent without a connection can do nothing that could be paused."


class OthersPause(Forbidden):
    """Only the user who is acted for pauses an agent or lifts the pause."""

    title = gettext_noop("Only the user can pause or resume an agent")


class WouldWiden(Conflict):
    """The change would allow the agent more than now. `errors` names the fields."""

    code = "would_widen"
    title = gettext_noop("This would allow the agent more")
    remedy = "A connection can only be narrowed. To allow more, let the agent ask for consent again."

    @classmethod
    def field(cls, field: str, message: str) -> "WouldWiden":
        return cls(message, errors=(FieldError(field, message),))


class ConsentExpired(Gone):
    code = "consent_expired"
    title = gettext_noop("This request has expired")
    remedy = "Ask for consent again. A request can be decided for 10 minutes."


class OtherBrowser(Forbidden):
    """The request was started in another browser. The sender of the link could receive the code there."""

    code = "other_browser"
    title = gettext_noop("This request was started in another browser")
    remedy = "Open the request in the browser that started it, or start again in this one."


class NothingToGrant(InvalidScope):
    """The developer has removed every requested scope from the agent since the request."""

    title = gettext_noop("No requested scope can be allowed any longer")


class TooManyScopes(InvalidScope):
    """The user would allow an agent more scopes than a connection can have."""

    title = gettext_noop("An agent cannot be allowed this many scopes")
    remedy = "Grant fewer scopes, or remove others from the connection first."


class InvalidAuthorizationDetails(Invalid):
    """RFC 9396 section 5. `errors` names each invalid field of the JSON API."""

    code = "invalid_authorization_details"
    title = gettext_noop("The authorization details are not valid")
    remedy = "Bound only requested scopes, each by one detail, with few enough identifiers."


class NothingPicked(Invalid):
    """A granted scope is bounded to targets, and the user picked none for it."""
