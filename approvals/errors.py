"""Errors about approvals."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, Gone


class ApprovalAlreadyDecided(Conflict):
    code = "approval_already_decided"
    title = gettext_noop("This approval was already decided")
    remedy = "Read the approval to see its status. The agent must ask again if it still needs one."


class ApprovalExpired(Gone):
    code = "approval_expired"
    title = gettext_noop("This approval was not decided in time")
    remedy = "The request was denied. The agent must ask again if it still needs an approval."


class ApprovalNotStanding(Conflict):
    code = "approval_not_standing"
    title = gettext_noop("Only an approval for a time can be revoked")
    remedy = "An approval for one request ends when it is used or expires. To stop the agent, pause or revoke it."


class SuggestionChanged(Conflict):
    """The rule that the user was offered no longer follows from their answers."""

    code = "suggestion_changed"
    title = gettext_noop("This offer has changed")
    remedy = "Open the page again to see what follows from your answers now."


class ConnectionInactive(Conflict):
    """The agent could not use an approval, because its connection has ended, is paused or has changed."""

    code = "connection_inactive"
    title = gettext_noop("The agent's connection is not active")
    remedy = "Deny the request. If the connection is paused, resume it first."
