"""The titles of the log's events for the user whom they are about.

They name the `agent`, and those of delegations the `giver`, which handed it the work.
"""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from audit.events import Event

type Words = str | Promise

# What the user did, or what happened without anyone's act.
TITLES: Mapping[str, Words] = {
    Event.USER_REGISTERED: _("You created an account"),
    Event.USER_SIGNED_IN: _("You signed in"),
    Event.USER_SIGN_IN_FAILED: _("A sign-in to your account failed"),
    Event.USER_DEVICE_ADDED: _("You signed in with a new browser or program"),
    Event.USER_SIGNED_OUT: _("You signed out"),
    Event.USER_SESSION_ENDED: _("You ended sessions of your account"),
    Event.USER_PASSWORD_CHANGED: _("The password of your account was changed"),
    Event.USER_ACCOUNT_RECLAIMED: _("You reset the password, which ended earlier access"),
    Event.USER_EMAIL_VERIFIED: _("You confirmed an email address"),
    Event.USER_EMAIL_ADDED: _("You added an email address"),
    Event.USER_EMAIL_REMOVED: _("You removed an email address"),
    Event.USER_EMAIL_CHANGED: _("You changed the primary email address"),
    Event.USER_PASSKEY_ADDED: _("You added a passkey"),
    Event.USER_PASSKEY_REMOVED: _("You removed a passkey"),
    Event.USER_TOTP_ADDED: _("You added an authenticator app"),
    Event.USER_TOTP_REMOVED: _("You removed the authenticator app"),
    Event.USER_RECOVERY_CODES_CREATED: _("You created new recovery codes"),
    Event.USER_RECOVERY_CODE_USED: _("You used a recovery code"),
    Event.USER_SECOND_FACTORS_REMOVED: _("You removed the second factors of your account"),
    Event.USER_SECOND_FACTOR_FAILED: _("A sign-in had the right password, but the wrong second factor"),
    Event.USER_PROFILE_CHANGED: _("Your profile was changed"),
    Event.USER_MAILS_CHANGED: _("You changed the email settings"),
    Event.USER_DATA_EXPORTED: _("The data of your account was downloaded"),
    Event.USER_DEACTIVATED: _("You deactivated your account"),
    Event.USER_REACTIVATED: _("You reactivated your account"),
    Event.USER_ACCESS_CHANGED: _("You changed your administrator rights"),
    Event.USER_ERASED: _("The data of your account was erased"),
    Event.USER_ACTIVITY_DISPUTED: _("Activity was reported as unauthorized"),
    Event.DEVELOPER_REGISTERED: _("You became a developer"),
    Event.API_KEY_CREATED: _("You created an API key"),
    Event.API_KEY_ROTATED: _("You rotated an API key"),
    Event.API_KEY_REVOKED: _("You revoked an API key"),
    Event.MEMBER_ROLE_CHANGED: _("Your role in an organization was changed"),
    Event.MEMBER_REMOVED: _("You were removed from an organization"),
    Event.MEMBER_LEFT: _("You left an organization"),
    Event.ORGANIZATION_CREATED: _("You created an organization"),
    Event.INVITATION_ACCEPTED: _("You accepted an invitation to join an organization"),
    Event.INVITATION_DECLINED: _("You declined an invitation to join an organization"),
    Event.AGENT_PAUSED: _("You paused %(agent)s"),
    Event.AGENT_RESUMED: _("You resumed %(agent)s"),
    Event.AGENT_REPORTED: _("You reported %(agent)s to the administrators"),
    Event.AGENTS_PAUSED: _("You paused all agents"),
    Event.AGENTS_RESUMED: _("You resumed all agents, except those that you paused one by one"),
    Event.CONSENT_REQUESTED: _("%(agent)s asked for access"),
    Event.CONSENT_APPROVED: _("You allowed %(agent)s to act for you"),
    Event.CONSENT_NARROWED: _("You narrowed what %(agent)s may do"),
    Event.CONSENT_DENIED: _("You did not allow the request from %(agent)s"),
    Event.CONSENT_REVOKED: _("You revoked the access of %(agent)s"),
    Event.CONSENT_EXPIRED: _("The access of %(agent)s expired"),
    Event.CONSENT_REPLACED: _("A new decision about %(agent)s replaced the earlier one"),
    Event.DELEGATION_CREATED: _("%(giver)s handed work for you to %(agent)s"),
    Event.DELEGATION_REDEEMED: _("%(agent)s took over the work that %(giver)s had handed to it"),
    Event.DELEGATION_ENDED: _("You ended what %(giver)s had handed to %(agent)s"),
    Event.TOKEN_ISSUED: _("%(agent)s received access tokens"),
    Event.TOKEN_REFRESHED: _("%(agent)s renewed its access tokens"),
    Event.TOKEN_REVOKED: _("You revoked access tokens of %(agent)s"),
    Event.TOKEN_REPLAYED: _("We stopped the session of %(agent)s: its key was used twice"),
    Event.TOKEN_INTROSPECTED: _("A service looked up a token of %(agent)s"),
    Event.RESERVATION_COMMITTED: _("A reservation of %(agent)s was completed"),
    Event.RESERVATION_VOIDED: _("A reservation of %(agent)s was cancelled"),
    Event.RESERVATION_LAPSED: _("A reservation of %(agent)s expired and was released"),
    Event.AUDIT_EXPORTED: _("You downloaded entries of your history"),
    Event.ENTRY_DAMAGED: _("An entry was damaged before it was logged"),
}
# What others did to the user's account or connections. `DONE_BY` says who.
BY_OTHERS: Mapping[str, Words] = {
    Event.USER_SESSION_ENDED: _("Sessions of your account were ended"),
    Event.USER_SECOND_FACTORS_REMOVED: _("The second factors of your account were removed"),
    Event.USER_DEACTIVATED: _("Your account was deactivated"),
    Event.USER_REACTIVATED: _("Your account was reactivated"),
    Event.USER_ACCESS_CHANGED: _("The administrator rights of your account were changed"),
    Event.DEVELOPER_REGISTERED: _("Your account became a developer account"),
    Event.API_KEY_CREATED: _("An API key was created"),
    Event.API_KEY_ROTATED: _("An API key was rotated"),
    Event.API_KEY_REVOKED: _("An API key was revoked"),
    Event.CONSENT_REVOKED: _("The access of %(agent)s was revoked"),
    Event.DELEGATION_ENDED: _("What %(giver)s had handed to %(agent)s was ended"),
    Event.TOKEN_REVOKED: _("Access tokens of %(agent)s were revoked"),
    Event.AUDIT_EXPORTED: _("Entries of your history were downloaded"),
}
DONE_BY: Mapping[str, Words] = {
    "user": _("Done by another user"),
    "developer": _("Done by the agent's developer"),
    "api_key": _("Done by the agent's developer"),
    "agent": _("Done by the agent"),
    "service": _("Done by a service"),
    "administrator": _("Done by an administrator"),
    "system": _("Done by this server"),
    "anonymous": _("Done by an unknown caller"),
}
# What became of a request of an agent that was not allowed.
DENIED, ASKED = _("Denied"), _("Asked you")
# What became of a request for the user's approval.
LABELS: Mapping[str, Words] = {
    Event.APPROVAL_APPROVED: pgettext_lazy("request", "You approved it"),
    Event.APPROVAL_DENIED: pgettext_lazy("request", "You denied it"),
    Event.APPROVAL_EXPIRED: pgettext_lazy("request", "Expired before you answered"),
    Event.APPROVAL_REVOKED: pgettext_lazy("request", "You revoked your approval"),
}
RULE_LABELS: Mapping[str, Words] = {
    Event.APPROVAL_APPROVED: _("You allowed it without asking"),
    Event.APPROVAL_REVOKED: _("You withdrew the rule"),
}
# What a later decision about a connected agent changed, and requests that were not answered.
CHANGES: Mapping[str, Words] = {
    "changed": _("You changed what %(agent)s may do"),
    "confirmed": _("You allowed %(agent)s to keep the same access"),
    "unanswered": _("A request from %(agent)s for access expired before you answered"),
    "added": _("Added: %(scopes)s"),
    "reworded": _("Allowed again with a new description: %(scopes)s"),
    "removed": _("Removed: %(scopes)s"),
    "withdrawn": _("Removed by its developer: %(scopes)s"),
    "longer": _("The access ends later than before"),
}
