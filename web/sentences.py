"""The audit log as users read it: one sentence per entry."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.events import Event, Outcome
from consent.statuses import ApprovalStatus
from decisions.requests import Reason

SENTENCES = {
    Event.USER_REGISTERED: gettext_lazy("You created your account."),
    Event.USER_SIGNED_IN: gettext_lazy("You signed in."),
    Event.USER_SIGN_IN_FAILED: gettext_lazy("A sign-in to your account failed."),
    Event.USER_DEVICE_ADDED: gettext_lazy("You signed in with a browser or program that you had not used here before."),
    Event.USER_SIGNED_OUT: gettext_lazy("You signed out."),
    Event.USER_SESSION_ENDED: gettext_lazy("You ended one of your sessions."),
    Event.USER_PASSWORD_CHANGED: gettext_lazy("Your password was changed."),
    Event.USER_ACCOUNT_RECLAIMED: gettext_lazy(
        "You confirmed your email address by resetting your password, which ended earlier access."
    ),
    Event.USER_EMAIL_VERIFIED: gettext_lazy("You confirmed your email address."),
    Event.USER_EMAIL_ADDED: gettext_lazy("You added an email address."),
    Event.USER_EMAIL_REMOVED: gettext_lazy("You removed an email address."),
    Event.USER_EMAIL_CHANGED: gettext_lazy("You made another email address your primary address."),
    Event.USER_PASSKEY_ADDED: gettext_lazy("You added a passkey."),
    Event.USER_PASSKEY_REMOVED: gettext_lazy("You removed a passkey."),
    Event.USER_TOTP_ADDED: gettext_lazy("You added an authenticator app."),
    Event.USER_TOTP_REMOVED: gettext_lazy("You removed the authenticator app."),
    Event.USER_RECOVERY_CODES_CREATED: gettext_lazy("You got new recovery codes."),
    Event.USER_RECOVERY_CODE_USED: gettext_lazy("You used a recovery code."),
    Event.USER_SECOND_FACTORS_REMOVED: gettext_lazy(
        "An administrator removed your passkeys, authenticator app and recovery codes."
    ),
    Event.USER_SECOND_FACTOR_FAILED: gettext_lazy("A code for your account was wrong, after the right password."),
    Event.USER_PROFILE_CHANGED: gettext_lazy("You changed your name or your time zone."),
    Event.USER_MAILS_CHANGED: gettext_lazy("You changed which emails you get."),
    Event.USER_DATA_EXPORTED: gettext_lazy("You downloaded your data."),
    Event.USER_DEACTIVATED: gettext_lazy("An administrator deactivated your account."),
    Event.USER_REACTIVATED: gettext_lazy("An administrator reactivated your account."),
    Event.USER_ACCESS_CHANGED: gettext_lazy("An administrator changed your rights to administer this server."),
    Event.USER_ERASED: gettext_lazy("Your account was erased."),
    Event.USER_ACTIVITY_DISPUTED: gettext_lazy("You reported that an entry of your activity was not you."),
    Event.DEVELOPER_REGISTERED: gettext_lazy("You became a developer."),
    Event.API_KEY_CREATED: gettext_lazy("You created an API key."),
    Event.API_KEY_ROTATED: gettext_lazy("You rotated your API key."),
    Event.API_KEY_REVOKED: gettext_lazy("One of your API keys was revoked."),
    Event.CONSENT_APPROVED: gettext_lazy("You allowed %(agent)s: %(scopes)s."),
    Event.CONSENT_NARROWED: gettext_lazy("You narrowed what %(agent)s may do."),
    Event.CONSENT_DENIED: gettext_lazy("You did not allow the request of %(agent)s."),
    Event.CONSENT_REVOKED: gettext_lazy("You revoked the access of %(agent)s."),
    Event.CONSENT_EXPIRED: gettext_lazy("The access of %(agent)s expired."),
    Event.CONSENT_REPLACED: gettext_lazy("Your new decision about %(agent)s replaced your earlier one."),
    Event.AGENT_PAUSED: gettext_lazy("You paused %(agent)s."),
    Event.AGENT_RESUMED: gettext_lazy("You resumed %(agent)s."),
    Event.AGENTS_PAUSED: gettext_lazy("You paused all agents."),
    Event.AGENTS_RESUMED: gettext_lazy("You resumed all agents. Those that you paused one by one are still paused."),
    Event.APPROVAL_APPROVED: gettext_lazy("You approved a request of %(agent)s: %(scopes)s."),
    Event.APPROVAL_DENIED: gettext_lazy("You denied a request of %(agent)s: %(scopes)s."),
    Event.APPROVAL_EXPIRED: gettext_lazy("A request of %(agent)s expired before you answered it: %(scopes)s."),
    Event.APPROVAL_REVOKED: gettext_lazy("You revoked your approval for %(agent)s: %(scopes)s."),
    Event.TOKEN_ISSUED: gettext_lazy("%(agent)s received the access you gave it."),
    Event.TOKEN_REFRESHED: gettext_lazy("%(agent)s renewed its access."),
    Event.TOKEN_REVOKED: gettext_lazy("A token of %(agent)s was revoked."),
    Event.TOKEN_REPLAYED: gettext_lazy("A token of %(agent)s was used twice, so its tokens were revoked."),
    Event.TOKEN_INTROSPECTED: gettext_lazy("A service checked a token of %(agent)s."),
    Event.RESERVATION_COMMITTED: gettext_lazy("A service completed what %(agent)s had reserved."),
    Event.RESERVATION_VOIDED: gettext_lazy("A service released what %(agent)s had reserved."),
    Event.RESERVATION_LAPSED: gettext_lazy("What %(agent)s had reserved was released, because its time was over."),
    Event.AUDIT_EXPORTED: gettext_lazy("You downloaded your history."),
    Event.ENTRY_DAMAGED: gettext_lazy("An entry was damaged before it was logged. Only its ID and digest are known."),
}
# Events with a different sentence if the actor is not the user.
BY_OTHERS = {
    (Event.USER_SESSION_ENDED, "administrator"): gettext_lazy("An administrator ended one of your sessions."),
    (Event.USER_SESSION_ENDED, "system"): gettext_lazy("Your sessions were ended."),
    (Event.API_KEY_ROTATED, "administrator"): gettext_lazy("An administrator rotated your API key."),
    (Event.API_KEY_REVOKED, "developer"): gettext_lazy("You revoked one of your API keys."),
    (Event.API_KEY_REVOKED, "administrator"): gettext_lazy("An administrator revoked one of your API keys."),
    (Event.CONSENT_REVOKED, "administrator"): gettext_lazy("An administrator revoked the access of %(agent)s."),
    (Event.CONSENT_REVOKED, "developer"): gettext_lazy("The developer deleted %(agent)s, so its access ended."),
    (Event.CONSENT_REVOKED, "system"): gettext_lazy("The access of %(agent)s was revoked."),
    (Event.TOKEN_REVOKED, "administrator"): gettext_lazy("An administrator revoked a token of %(agent)s."),
    (Event.TOKEN_REVOKED, "developer"): gettext_lazy("The developer of %(agent)s revoked one of its tokens."),
    (Event.TOKEN_REVOKED, "agent"): gettext_lazy("%(agent)s revoked its own token."),
    (Event.TOKEN_REVOKED, "anonymous"): gettext_lazy("A caller with a token of %(agent)s revoked it."),
}
# What ended because the user reclaimed the account: a password reset verified the address.
RECLAIMED = {
    Event.API_KEY_REVOKED: gettext_lazy(
        "You confirmed your email address by resetting your password, so your API keys were revoked."
    ),
    Event.CONSENT_REVOKED: gettext_lazy(
        "You confirmed your email address by resetting your password, so the access of %(agent)s was revoked."
    ),
    Event.TOKEN_REVOKED: gettext_lazy(
        "You confirmed your email address by resetting your password, so a token of %(agent)s was revoked."
    ),
}
# What a later decision about an already connected agent changed.
CONNECTION_CHANGED = gettext_lazy("You changed what %(agent)s may do.")
CONNECTION_CONFIRMED = gettext_lazy("You allowed %(agent)s to keep the same access: %(scopes)s.")
LONGER = gettext_lazy("The access ends later than before.")
ADDED = gettext_lazy("Added: %(scopes)s.")
REWORDED = gettext_lazy("Allowed again with a new description: %(scopes)s.")
REMOVED = gettext_lazy("Removed: %(scopes)s.")
WITHDRAWN = gettext_lazy("Removed by its developer: %(scopes)s.")
# Approvals that answer requests of the future (`consent.learning`).
RULE = "rule"
RULES = {
    Event.APPROVAL_APPROVED: gettext_lazy("%(agent)s may now do this without asking: %(scopes)s."),
    Event.APPROVAL_REVOKED: gettext_lazy("%(agent)s must ask you again: %(scopes)s."),
}
OTHER_SESSIONS_ENDED = gettext_lazy("You ended all your other sessions.")
CONNECTION_EXPORTED = gettext_lazy("You downloaded the history of your connection to %(agent)s.")
VERIFY_ALLOWED = gettext_lazy("%(agent)s was allowed: %(scopes)s.")
VERIFY_ASKED = gettext_lazy("%(agent)s asked for your approval: %(scopes)s.")
VERIFY_DENIED = gettext_lazy("%(agent)s was denied: %(scopes)s. %(reason)s")
REASONS: dict[str, Any] = {
    Reason.INVALID_TOKEN: gettext_lazy("This server did not issue its token."),
    Reason.TOKEN_EXPIRED: gettext_lazy("Its token had expired."),
    Reason.TOKEN_REVOKED: gettext_lazy("Its token had been revoked."),
    Reason.SERVICE_SUSPENDED: gettext_lazy("The service is suspended."),
    Reason.ORGANIZATION_SUSPENDED: gettext_lazy("Its developer is suspended."),
    Reason.AGENT_SUSPENDED: gettext_lazy("The agent is suspended."),
    Reason.USER_INACTIVE: gettext_lazy("Your account was deactivated."),
    Reason.CONSENT_REVOKED: gettext_lazy("Its access had been revoked."),
    Reason.CONSENT_EXPIRED: gettext_lazy("Its access had expired."),
    Reason.CONSENT_PAUSED: gettext_lazy("You had paused its access."),
    Reason.WRONG_AUDIENCE: gettext_lazy("Its token was meant for another service."),
    Reason.INSUFFICIENT_SCOPE: gettext_lazy("You had not allowed this."),
    Reason.APPROVAL_REQUIRED: gettext_lazy("It must ask you first."),
}
NO_PERMISSION = gettext_lazy("No permission allows this action.")
USER_DENIED = gettext_lazy("You denied this request.")
NOT_ASKED = gettext_lazy("It must ask you first, and has asked you too often.")
OWN_LIMIT = gettext_lazy("A limit that you set denied this.")
OWN_LIMITS = {
    "spend_limit": gettext_lazy("Your limit on how much it spends denied this."),
    "rate_limit": gettext_lazy("Your limit on how often it acts denied this."),
    "time_window": gettext_lazy("Your limit on when it acts denied this."),
    "context_match": gettext_lazy("Your limit on recipients or targets denied this."),
    "data_flow": gettext_lazy("Your protection against data leaks denied this."),
}

# How to put names into a template.
type Fill = Callable[[Any, Mapping[str, str]], str]


def sentence(entry: dict[str, Any]) -> str:
    """Return what happened, addressed to the user. `entry` has names from `web.names.add_names`."""
    return _say(entry, _fill)


def sentence_html(entry: dict[str, Any]) -> SafeString:
    """Return the sentence with the names of others set apart."""
    return mark_safe(_say(entry, _fill_html))  # noqa: S308 -- all parts are escaped


def _fill(template: Any, words: Mapping[str, str]) -> str:
    return str(template) % words


def _fill_html(template: Any, words: Mapping[str, str]) -> str:
    marked = {name: one if isinstance(one, SafeString) else _mark(name, one) for name, one in words.items()}
    return mark_safe(conditional_escape(template) % marked)  # noqa: S308 -- all parts are escaped


def _mark(name: str, text: str) -> SafeString:
    return format_html("<bdi>{}</bdi>" if name == "scopes" else '<bdi class="named">{}</bdi>', text)


def _say(entry: dict[str, Any], fill: Fill) -> str:
    if entry["event"] == Event.CONSENT_APPROVED and entry["metadata"].get("replacedConsentId"):
        return _change(entry, fill)
    words = {
        "agent": entry["agentName"] or _("An agent"),
        "scopes": _act(entry, fill) or _listed(entry["scopeTitles"]) or _("no specific scopes"),
        "reason": _why(entry, fill),
    }
    first = fill(_template(entry), words)
    is_narrowed = entry["event"] == Event.CONSENT_NARROWED and entry["removedTitles"]
    return f"{first} {fill(REMOVED, {'scopes': _listed(entry['removedTitles'])})}" if is_narrowed else first


def _act(entry: dict[str, Any], fill: Fill) -> str:
    """Return what a request would do, or "" if the entry is not about a request (`web.ledger.items`)."""
    act: str = entry.get("actHtml" if fill is _fill_html else "act", "")
    return act


def _change(entry: dict[str, Any], fill: Fill) -> str:
    """Return what a later decision added and removed, and what the agent's developer had removed."""
    changes = (
        (ADDED, entry["addedTitles"]),
        (REWORDED, entry["rewordedTitles"]),
        (REMOVED, entry["removedTitles"]),
        (WITHDRAWN, entry["withdrawnTitles"]),
    )
    parts = [fill(template, {"scopes": _listed(titles)}) for template, titles in changes if titles]
    is_longer = entry["metadata"].get("isLonger")
    is_changed = is_longer or any(titles for _, titles in changes[:-1])
    opening = CONNECTION_CHANGED if is_changed else CONNECTION_CONFIRMED
    first = fill(opening, {"agent": entry["agentName"] or _("An agent"), "scopes": _listed(entry["scopeTitles"])})
    return " ".join([first, *parts, *([fill(LONGER, {})] if is_longer else [])])


def _listed(titles: list[str]) -> str:
    return get_text_list(titles, _("and"))


def reason_html(entry: dict[str, Any]) -> SafeString:
    """Return why the request was denied, with the name of the policy or the kind of limit if one denied it."""
    return mark_safe(_why(entry, _fill_html))  # noqa: S308 -- all parts are escaped


def asks_user(entry: Mapping[str, Any]) -> bool:
    """Return whether a denied request waits for the user's approval: they have not denied it, and were asked."""
    metadata = entry["metadata"]
    is_open = metadata.get("approvalStatus") != ApprovalStatus.DENIED and "retryAfterSeconds" not in metadata
    return is_open and bool(entry["reason"] == Reason.APPROVAL_REQUIRED)


def _why(entry: dict[str, Any], fill: Fill) -> str:
    if entry["reason"] == Reason.APPROVAL_REQUIRED and not asks_user(entry):
        is_denied = entry["metadata"].get("approvalStatus") == ApprovalStatus.DENIED
        return fill(USER_DENIED if is_denied else NOT_ASKED, {})
    if entry["reason"] == Reason.INSUFFICIENT_SCOPE and "missingScopes" not in entry["metadata"]:
        return fill(NO_PERMISSION, {})
    if entry["reason"] != Reason.POLICY_DENIED:
        return fill(REASONS.get(entry["reason"], ""), {})
    if entry["metadata"].get("limitedBy") == "user":
        return fill(OWN_LIMITS.get(entry["metadata"].get("ruleType"), OWN_LIMIT), {})
    return fill(_rule_of(entry), {"policy": entry["policyName"]})


def _rule_of(entry: dict[str, Any]) -> str:
    if entry["policyOrganizationId"] in (None, entry["organizationId"]):
        return _("A policy of its developer denied this: %(policy)s.")
    return _("A policy of the service denied this: %(policy)s.")


def _template(entry: dict[str, Any]) -> Any:
    event = entry["event"]
    if event == Event.TOKEN_VERIFY:
        if entry["outcome"] != Outcome.DENIED:
            return VERIFY_ALLOWED
        return VERIFY_ASKED if asks_user(entry) else VERIFY_DENIED
    if event == Event.AUDIT_EXPORTED and entry["consentId"]:
        return CONNECTION_EXPORTED
    if event in RULES and entry["metadata"].get("for") == RULE:
        return RULES[event]
    kind = entry["actor"]["kind"]
    if event == Event.USER_SESSION_ENDED and kind == "user" and entry["metadata"].get("endedSessions"):
        return OTHER_SESSIONS_ENDED
    plain = SENTENCES.get(event, event.replace("%", "%%"))
    if kind == "user" and entry["metadata"].get("reason") == "account_reclaimed":
        return RECLAIMED.get(event, plain)
    return BY_OTHERS.get((event, kind), plain)
