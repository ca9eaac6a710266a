"""What the log says in words: the sentence of an entry for administrators, and for everyone why it was denied."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from approvals.statuses import ApprovalStatus
from audit.events import Event, Outcome
from core.formats import duration
from decisions.requests import Reason

type Words = str | Promise

SENTENCES = {event.value: event.sentence for event in Event}
VERIFY_DENIED = "%(agent)s was denied: %(scopes)s."
VERIFY_ASKED = "%(agent)s asked for approval: %(scopes)s."
ASKED = "asked"
REQUEST_EXPIRED = "A request from %(agent)s for consent expired before it was answered."
# Approvals that answer requests of the future (`approvals.standing_rules`).
RULE = "rule"
RULES = {
    Event.APPROVAL_APPROVED: "%(person)s allowed %(agent)s to do this without asking: %(scopes)s.",
    Event.APPROVAL_REVOKED: "%(person)s withdrew the rule for %(agent)s: %(scopes)s.",
}
# The reasons that this program states for what follows from another act (`MACHINE_REASONS`).
CAUSES: Mapping[str, Words] = {
    "account_reclaimed": _("A password reset ended earlier access."),
    "account_erased": _("The account was erased."),
    "agent_deleted": _("The agent was deleted."),
    "ended_by_owner": _("The developer revoked everything created with their account since a date."),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request was denied, as a `label` and as a sentence, and what its developer and its user can do about it.

    Only developers read the `label` and the `remedy`, which are not translated.
    """

    label: str
    why: Words
    remedy: str
    advice: Words


REASONS: Mapping[str, Explanation] = {
    Reason.INVALID_TOKEN: Explanation(
        "Invalid token",
        _("This server did not issue the token."),
        "Exchange a code for a token, and send that.",
        _("Nothing. This server did not issue the token."),
    ),
    Reason.TOKEN_EXPIRED: Explanation(
        "Token expired",
        _("The token had expired."),
        "Refresh it before it expires. The SDK does that by itself.",
        _("Nothing. Agents renew their tokens by themselves, so the next request may work."),
    ),
    Reason.TOKEN_REVOKED: Explanation(
        "Token revoked",
        _("The token had been revoked, or replaced by a refresh."),
        "Use the newest token, or ask the user for consent again.",
        _("To let the agent continue, start from the agent again. It then gets a new token."),
    ),
    Reason.SERVICE_SUSPENDED: Explanation(
        "Service suspended",
        _("The service is suspended, or an administrator has stopped all agents."),
        "Wait until the stop is lifted.",
        _("Wait. An administrator of this server suspended the service, and only they can lift that."),
    ),
    Reason.ORGANIZATION_SUSPENDED: Explanation(
        "Organization suspended",
        _("The agent's organization is suspended."),
        "Contact an administrator.",
        _(
            "Wait, or revoke the access of this agent. An administrator of this server suspended its developer, and "
            "only they can lift that."
        ),
    ),
    Reason.ORGANIZATION_STOPPED: Explanation(
        "Organization stopped",
        _("The agent's organization has stopped all its agents."),
        "An owner or admin of the organization can lift the stop or, if it is being deleted, an owner can restore it.",
        _(
            "Wait, or revoke the access of this agent. Its developer stopped all its agents, and only they can lift "
            "that."
        ),
    ),
    Reason.AGENT_SUSPENDED: Explanation(
        "Agent suspended",
        _("The agent is suspended or stopped."),
        "Reactivate it. If an administrator stopped it, only they can lift the stop.",
        _(
            "Wait, or revoke the access of this agent. Its developer or an administrator suspended it, and only they "
            "can lift that."
        ),
    ),
    Reason.USER_INACTIVE: Explanation(
        "User deactivated",
        _("The account is deactivated."),
        "Stop acting for this user.",
        _("Ask an administrator of this server to reactivate your account."),
    ),
    Reason.DELEGATION_ENDED: Explanation(
        "Delegation ended",
        _("What another agent had handed over has ended."),
        "Ask the agent that handed the work over to do so again, if it still needs it.",
        _("If you ended it, there is nothing to do. Otherwise, it expired, or the agent that handed it over ended it."),
    ),
    Reason.CONSENT_REVOKED: Explanation(
        "Access revoked by the user",
        _("The access had been revoked."),
        "Delete the token. Ask for consent again only if the user starts it.",
        _("If you want to allow it again, start from the agent. It then asks you for its permissions."),
    ),
    Reason.CONSENT_EXPIRED: Explanation(
        "Access expired",
        _("The access had expired."),
        "Ask the user for consent again.",
        _("If you want to allow it again, start from the agent. It then asks you for its permissions."),
    ),
    Reason.CONSENT_PAUSED: Explanation(
        "Access paused by the user",
        _("The access was paused."),
        "Wait until the user resumes it.",
        _("Resume the agent if you trust it again."),
    ),
    Reason.WRONG_AUDIENCE: Explanation(
        "Token for another service",
        _("The token is for another service."),
        "Ask for consent with the identifier of this service as its resource.",
        _("Nothing. The agent used a token for one service at another one, which its developer must fix."),
    ),
    Reason.INSUFFICIENT_SCOPE: Explanation(
        "Scope not granted",
        _("The permission had not been granted."),
        "Ask for it again when the user needs it, and do without it until then.",
        _("If you want to allow this, start from the agent and let it ask you for this permission."),
    ),
    Reason.POLICY_DENIED: Explanation(
        "Denied by a rule",
        _("A policy denied it."),
        "Change the request, or the policy.",
        _("Nothing. The request went against a rule."),
    ),
    Reason.APPROVAL_REQUIRED: Explanation(
        "Approval required",
        _("It needs an approval first."),
        "Send the user to the page of the approval, wait for the answer, then send the same request again.",
        _("Approve or deny the request while it waits."),
    ),
}
POLICY_LATER = Explanation(
    REASONS[Reason.POLICY_DENIED].label,
    REASONS[Reason.POLICY_DENIED].why,
    "It may be sent again after %s.",
    REASONS[Reason.POLICY_DENIED].advice,
)
OWN_LIMIT = Explanation(
    REASONS[Reason.POLICY_DENIED].label,
    _("A limit of the connection denied it."),
    "Change the request, so that it is within the limit. Only the user can change the limit.",
    _(
        "You set this limit, and it did what it is for. You can only tighten the limits of a connection. To allow "
        "more, let the agent ask you again."
    ),
)
OWN_LIMIT_LATER = Explanation(
    OWN_LIMIT.label,
    OWN_LIMIT.why,
    "It may be sent again after %s. Only the user can change the limit.",
    OWN_LIMIT.advice,
)
DELEGATED_LIMIT = Explanation(
    REASONS[Reason.POLICY_DENIED].label,
    _("A limit that was set when the work was handed over denied it."),
    "Change the request, so that it is within the limit, or ask the agent that handed the work over for another one.",
    _("You do not need to do anything. The agent that handed the work over set this limit."),
)
DELEGATED_LIMIT_LATER = replace(DELEGATED_LIMIT, remedy="It may be sent again after %s.")
NO_SCOPE = Explanation(
    REASONS[Reason.INSUFFICIENT_SCOPE].label,
    _("No scope covers the action."),
    "Do without it. If its prefix is that of your own scopes, let one of them cover it.",
    _("Nothing. There is no permission for this action that the agent could ask you for."),
)
DENIED_BY_USER = Explanation(
    REASONS[Reason.APPROVAL_REQUIRED].label,
    _("The request for approval was denied."),
    "Do not send it again. Within an hour of the first time, it is denied without asking the user.",
    _(
        "Nothing. You denied this request, so the same one is denied without asking you, until an hour after the "
        "first one."
    ),
)
ASKED_TOO_OFTEN = Explanation(
    REASONS[Reason.APPROVAL_REQUIRED].label,
    _("It needs an approval, but the agent has asked too often."),
    "Send fewer requests that need an approval, and this one later.",
    _("Nothing. The agent asked for too many approvals, so you were not asked about this request."),
)
# By what limited the request: what to say if waiting does not help, and if it does.
RULES_OF: Mapping[Any, tuple[Explanation, Explanation]] = {
    "user": (OWN_LIMIT, OWN_LIMIT_LATER),
    "delegation": (DELEGATED_LIMIT, DELEGATED_LIMIT_LATER),
}
OTHER = Explanation("", _("It was denied."), "Look up the reason in the documentation of verify.", "")


def explain_denial(reason: str | None, metadata: Mapping[str, Any]) -> Explanation:
    """Return why a request was denied. `metadata` is that of its entry in the log."""
    seconds = metadata.get("retryAfterSeconds")
    if reason == Reason.POLICY_DENIED:
        now, later = RULES_OF.get(metadata.get("limitedBy"), (REASONS[Reason.POLICY_DENIED], POLICY_LATER))
        return replace(later, remedy=later.remedy % duration(seconds)) if isinstance(seconds, int) else now
    if reason == Reason.INSUFFICIENT_SCOPE and "missingScopes" not in metadata:
        return NO_SCOPE
    if reason == Reason.APPROVAL_REQUIRED and metadata.get("approvalStatus") == ApprovalStatus.DENIED:
        return DENIED_BY_USER
    if reason == Reason.APPROVAL_REQUIRED and seconds is not None:
        return ASKED_TOO_OFTEN
    return REASONS.get(reason or "", OTHER)


def asks_user(content: Mapping[str, Any]) -> bool:
    """Return whether a denied request waits for the user's approval: they have not denied it, and were asked."""
    is_required = content["reason"] == Reason.APPROVAL_REQUIRED
    return is_required and explain_denial(content["reason"], content["metadata"]) is REASONS[Reason.APPROVAL_REQUIRED]


def shown_outcome(content: Mapping[str, Any]) -> str:
    """Return the outcome as readers see it: `ASKED` for a request that waits for the user, not what verify answered.

    A sign-in is recorded. Nothing decided on it.
    """
    if content["event"] == Event.TOKEN_VERIFY and content["outcome"] == Outcome.DENIED and asks_user(content):
        return ASKED
    return Outcome.INFO if content["event"] == Event.USER_SIGNED_IN else content["outcome"]


def is_for_rule(content: Mapping[str, Any]) -> bool:
    """Return whether an entry about an approval is about one that answers requests of the future."""
    return bool(content["metadata"].get("for") == RULE)


def sentence_of(content: Mapping[str, Any]) -> str:
    """Return what happened according to an entry, as `Event` describes. An unknown event of the past is its name."""
    event = content["event"]
    if event == Event.TOKEN_VERIFY and content["outcome"] == Outcome.DENIED:
        return VERIFY_ASKED if asks_user(content) else VERIFY_DENIED
    if event in RULES and is_for_rule(content):
        return RULES[event]
    if event == Event.CONSENT_EXPIRED and content["userId"] is None:
        return REQUEST_EXPIRED
    return SENTENCES.get(event, str(event).replace("%", "%%"))


def cause_of(content: Mapping[str, Any]) -> Words:
    """Return the earlier act that caused this one. Empty if there is none."""
    return CAUSES.get(content["metadata"].get("reason", ""), "")
