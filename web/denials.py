"""Denials explained to the developer: why, and what to do about it. `web.ledger.denials` explains them to the user."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from consent.statuses import ApprovalStatus
from decisions.requests import Reason

type Words = str | Promise

REASONS: Mapping[str, tuple[Words, Words]] = {
    Reason.INVALID_TOKEN: (
        _("There is no token that this server issued."),
        _("Exchange a code for a token, and send that."),
    ),
    Reason.TOKEN_EXPIRED: (
        _("The token had expired."),
        _("Refresh it before it expires. The SDK does that by itself."),
    ),
    Reason.TOKEN_REVOKED: (
        _("The token was revoked, or replaced by a refresh."),
        _("Use the newest token, or ask the user for consent again."),
    ),
    Reason.SERVICE_SUSPENDED: (
        _("An administrator has suspended the service, or stopped all agents."),
        _("Wait until the stop is lifted."),
    ),
    Reason.ORGANIZATION_SUSPENDED: (
        _("An administrator has suspended the agent's organization."),
        _("Contact an administrator."),
    ),
    Reason.AGENT_SUSPENDED: (
        _("The agent is suspended or stopped."),
        _("Reactivate it. If an administrator stopped it, only they can lift the stop."),
    ),
    Reason.USER_INACTIVE: (
        _("The account of the user is not active."),
        _("Stop acting for this user."),
    ),
    Reason.CONSENT_REVOKED: (
        _("The user has revoked the access."),
        _("Delete the token. Ask for consent again only if the user starts it."),
    ),
    Reason.CONSENT_EXPIRED: (
        _("The access that the user allowed has ended."),
        _("Ask the user for consent again."),
    ),
    Reason.CONSENT_PAUSED: (
        _("The user has paused the agent."),
        _("Wait until the user resumes it."),
    ),
    Reason.WRONG_AUDIENCE: (
        _("The token is for another service."),
        _("Ask for consent with the identifier of this service as its resource."),
    ),
    Reason.INSUFFICIENT_SCOPE: (
        _("The user did not allow this permission."),
        _("Ask for it again when the user needs it, and do without it until then."),
    ),
    Reason.APPROVAL_REQUIRED: (
        _("The user must approve this request first."),
        _("Send the user to the page of the approval, wait for the answer, then send the same request again."),
    ),
}
POLICY = _("A policy denied it."), _("Change the request, or the policy.")
POLICY_LATER = (
    _("A policy denied it."),
    _("Send it again after the seconds in retryAfterSeconds, or change the policy."),
)
LIMIT = (
    _("A limit that the user set denied it."),
    _("Change the request, so that it is within the limit. Only the user can change the limit."),
)
LIMIT_LATER = (
    _("A limit that the user set denied it."),
    _("Send it again after the seconds in retryAfterSeconds. Only the user can change the limit."),
)
NO_SCOPE = (
    _("No scope covers the action."),
    _("Do without it. If its prefix is that of your own scopes, let one of them cover it."),
)
DENIED = (
    _("The user denied this request."),
    _("Do not send it again. Within an hour of the first time, it is denied without asking the user."),
)
NOT_ASKED = (
    _("The user must approve this request, but the agent has asked them too often."),
    _("Send fewer requests that need an approval, and this one later."),
)
OTHER = _("It was denied."), _("Look up the reason in the documentation of verify.")


def explain_denial(reason: str | None, metadata: Mapping[str, Any]) -> tuple[Words, Words]:
    """Return why a request was denied, and what to do. `metadata` is that of its entry in the log."""
    does_waiting_help = "retryAfterSeconds" in metadata
    if reason == Reason.POLICY_DENIED and metadata.get("limitedBy") == "user":
        return LIMIT_LATER if does_waiting_help else LIMIT
    if reason == Reason.POLICY_DENIED:
        return POLICY_LATER if does_waiting_help else POLICY
    if reason == Reason.INSUFFICIENT_SCOPE and "missingScopes" not in metadata:
        return NO_SCOPE
    if reason == Reason.APPROVAL_REQUIRED and metadata.get("approvalStatus") == ApprovalStatus.DENIED:
        return DENIED
    if reason == Reason.APPROVAL_REQUIRED and does_waiting_help:
        return NOT_ASKED
    return REASONS.get(reason or "", OTHER)
