"""Log entries as administrators read them: one sentence per entry, which names the actor."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from audit.events import Event, Outcome
from consent.statuses import ApprovalStatus
from core.admin_words import ACTORS
from core.text import plain_text
from decisions.requests import Reason

SENTENCES: Mapping[str, str | Promise] = {
    Event.USER_REGISTERED: lazy("%(person)s created an account."),
    Event.USER_SIGNED_IN: lazy("%(person)s signed in."),
    Event.USER_SIGN_IN_FAILED: lazy("A sign-in to the account of %(person)s failed."),
    Event.USER_DEVICE_ADDED: lazy("%(person)s signed in with a new browser or program."),
    Event.USER_SIGNED_OUT: lazy("%(person)s signed out."),
    Event.USER_SESSION_ENDED: lazy("%(actor)s ended sessions of %(person)s."),
    Event.USER_PASSWORD_CHANGED: lazy("The password of %(person)s was changed."),
    Event.USER_ACCOUNT_RECLAIMED: lazy("%(person)s reset the password, which ended earlier access."),
    Event.USER_EMAIL_VERIFIED: lazy("%(person)s confirmed an email address."),
    Event.USER_EMAIL_ADDED: lazy("%(person)s added an email address."),
    Event.USER_EMAIL_REMOVED: lazy("%(person)s removed an email address."),
    Event.USER_EMAIL_CHANGED: lazy("%(person)s changed the primary email address."),
    Event.USER_PASSKEY_ADDED: lazy("%(person)s added a passkey."),
    Event.USER_PASSKEY_REMOVED: lazy("%(person)s removed a passkey."),
    Event.USER_TOTP_ADDED: lazy("%(person)s added an authenticator app."),
    Event.USER_TOTP_REMOVED: lazy("%(person)s removed the authenticator app."),
    Event.USER_RECOVERY_CODES_CREATED: lazy("%(person)s got new recovery codes."),
    Event.USER_RECOVERY_CODE_USED: lazy("%(person)s used a recovery code."),
    Event.USER_SECOND_FACTORS_REMOVED: lazy("%(actor)s removed the second factors of %(person)s."),
    Event.USER_SECOND_FACTOR_FAILED: lazy("A second factor of %(person)s was wrong, after the right password."),
    Event.USER_PROFILE_CHANGED: lazy("%(person)s changed their name or time zone."),
    Event.USER_MAILS_CHANGED: lazy("%(person)s changed which emails they get."),
    Event.USER_DATA_EXPORTED: lazy("%(person)s downloaded their data."),
    Event.USER_DEACTIVATED: lazy("%(actor)s deactivated the account of %(person)s."),
    Event.USER_REACTIVATED: lazy("%(actor)s reactivated the account of %(person)s."),
    Event.USER_ACCESS_CHANGED: lazy("%(actor)s changed the administrative rights of %(person)s."),
    Event.USER_ERASED: lazy("The account of %(person)s was erased."),
    Event.USER_ACTIVITY_DISPUTED: lazy("A user reported activity as not theirs. Reports do not name the user."),
    Event.DEVELOPER_REGISTERED: lazy("%(actor)s registered as a developer of %(organization)s."),
    Event.API_KEY_CREATED: lazy("%(actor)s created an API key of %(organization)s."),
    Event.API_KEY_ROTATED: lazy("%(actor)s rotated an API key of %(organization)s."),
    Event.API_KEY_REVOKED: lazy("%(actor)s revoked an API key of %(organization)s."),
    Event.ORGANIZATION_SUSPENDED: lazy("%(actor)s suspended the organization %(organization)s."),
    Event.ORGANIZATION_REACTIVATED: lazy("%(actor)s reactivated the organization %(organization)s."),
    Event.ORGANIZATION_VERIFIED: lazy("%(actor)s decided whether the organization %(organization)s is verified."),
    Event.ORGANIZATION_REVIEW_REQUESTED: lazy("%(actor)s asked to have %(organization)s verified."),
    Event.ORGANIZATION_REVIEW_DECLINED: lazy("%(actor)s declined to verify the organization %(organization)s."),
    Event.DOMAIN_CLAIMED: lazy("%(actor)s began to prove a domain of %(organization)s."),
    Event.DOMAIN_PROVED: lazy("%(organization)s proved its domain."),
    Event.DOMAIN_LOST: lazy("The proof of the domain of %(organization)s is gone."),
    Event.DOMAIN_REMOVED: lazy("%(actor)s removed the domain of %(organization)s."),
    Event.RESOURCE_SERVER_CREATED: lazy("%(actor)s registered a resource server of %(organization)s."),
    Event.RESOURCE_SERVER_UPDATED: lazy("%(actor)s changed a resource server of %(organization)s."),
    Event.RESOURCE_SERVER_DELETED: lazy("%(actor)s deleted a resource server of %(organization)s."),
    Event.RESOURCE_SERVER_SECRET_ROTATED: lazy("%(actor)s rotated the secret of a resource server."),
    Event.RESOURCE_SERVER_SECRET_REVOKED: lazy("%(actor)s revoked secrets of a resource server."),
    Event.AGENT_CREATED: lazy("%(actor)s registered the agent %(agent)s."),
    Event.AGENT_UPDATED: lazy("%(actor)s changed the agent %(agent)s."),
    Event.AGENT_SUSPENDED: lazy("%(actor)s suspended the agent %(agent)s."),
    Event.AGENT_REACTIVATED: lazy("%(actor)s reactivated the agent %(agent)s."),
    Event.AGENT_STOPPED: lazy("%(actor)s stopped the agent %(agent)s."),
    Event.AGENT_STOP_LIFTED: lazy("%(actor)s lifted the stop of the agent %(agent)s."),
    Event.AGENT_PAUSED: lazy("%(person)s paused the agent %(agent)s."),
    Event.AGENT_RESUMED: lazy("%(person)s resumed the agent %(agent)s."),
    Event.AGENT_SECRET_CREATED: lazy("%(actor)s created a client secret of the agent %(agent)s."),
    Event.AGENT_SECRET_ROTATED: lazy("%(actor)s rotated a client secret of the agent %(agent)s."),
    Event.AGENT_SECRET_REVOKED: lazy("%(actor)s revoked a client secret of the agent %(agent)s."),
    Event.AGENT_EXPIRED: lazy("The agent %(agent)s expired, because it was never used."),
    Event.AGENT_DELETED: lazy("%(actor)s deleted the agent %(agent)s."),
    Event.AGENTS_PAUSED: lazy("%(person)s paused all their agents."),
    Event.AGENTS_RESUMED: lazy("%(person)s resumed all their agents."),
    Event.EVERYTHING_STOPPED: lazy("%(actor)s stopped all agents."),
    Event.EVERYTHING_STOP_LIFTED: lazy("%(actor)s lifted the stop of all agents."),
    Event.POLICY_CREATED: lazy("%(actor)s created the policy %(policy)s."),
    Event.POLICY_UPDATED: lazy("%(actor)s changed the policy %(policy)s."),
    Event.POLICY_DELETED: lazy("%(actor)s deleted the policy %(policy)s."),
    Event.POLICY_SHADOWED: lazy("The policy %(policy)s would have denied a request of %(agent)s."),
    Event.CONSENT_REQUESTED: lazy("%(agent)s asked for consent: %(scopes)s."),
    Event.CONSENT_APPROVED: lazy("%(person)s allowed %(agent)s: %(scopes)s."),
    Event.CONSENT_NARROWED: lazy("%(person)s narrowed what %(agent)s may do."),
    Event.CONSENT_DENIED: lazy("%(person)s did not allow the request of %(agent)s."),
    Event.CONSENT_REVOKED: lazy("%(actor)s revoked the access of %(agent)s for %(person)s."),
    Event.CONSENT_EXPIRED: lazy("The access of %(agent)s for %(person)s expired."),
    Event.CONSENT_REPLACED: lazy("A new decision of %(person)s about %(agent)s replaced the earlier one."),
    Event.APPROVAL_APPROVED: lazy("%(person)s approved a request of %(agent)s: %(scopes)s."),
    Event.APPROVAL_DENIED: lazy("%(person)s denied a request of %(agent)s: %(scopes)s."),
    Event.APPROVAL_EXPIRED: lazy("%(person)s did not answer a request of %(agent)s in time: %(scopes)s."),
    Event.APPROVAL_REVOKED: lazy("%(person)s revoked an approval for %(agent)s: %(scopes)s."),
    Event.TOKEN_ISSUED: lazy("%(agent)s received tokens for %(person)s: %(scopes)s."),
    Event.TOKEN_REFRESHED: lazy("%(agent)s refreshed its tokens for %(person)s."),
    Event.TOKEN_REVOKED: lazy("%(actor)s revoked tokens of %(agent)s for %(person)s."),
    Event.TOKEN_REPLAYED: lazy("A token of %(agent)s for %(person)s was used twice, so its family was revoked."),
    Event.TOKEN_VERIFY: lazy("%(agent)s was allowed to act for %(person)s: %(scopes)s."),
    Event.TOKEN_INTROSPECTED: lazy("%(actor)s introspected a token of %(agent)s for %(person)s."),
    Event.SANDBOX_CONSENT: lazy("%(actor)s tried out a consent to %(agent)s. Nothing was granted."),
    Event.SANDBOX_VERIFY: lazy("%(actor)s tried out a request of %(agent)s. Nothing was decided."),
    Event.RESERVATION_COMMITTED: lazy("%(actor)s completed what %(agent)s had reserved."),
    Event.RESERVATION_VOIDED: lazy("%(actor)s released what %(agent)s had reserved."),
    Event.RESERVATION_LAPSED: lazy("What %(agent)s had reserved was released, because its time was over."),
    Event.STAFF_ROLE_CREATED: lazy("%(actor)s created a staff role."),
    Event.STAFF_ROLE_UPDATED: lazy("%(actor)s changed a staff role."),
    Event.STAFF_ROLE_DELETED: lazy("%(actor)s deleted a staff role."),
    Event.ADMINISTRATION_REFUSED: lazy("%(actor)s tried what no role of theirs permits."),
    Event.SIGNING_KEY_CREATED: lazy("%(actor)s created a signing key."),
    Event.AUDIT_EXPORTED: lazy("%(actor)s exported the log."),
    Event.ENTRY_DAMAGED: lazy("An entry was damaged before it was logged. Only its ID and digest are known."),
    Event.JOURNAL_ROW_DISCARDED: lazy("%(actor)s discarded a damaged row of the journal."),
    Event.LOG_VIEW_SAVED: lazy("%(actor)s saved a view of the log."),
    Event.LOG_VIEW_RENAMED: lazy("%(actor)s renamed a view of the log."),
    Event.LOG_VIEW_DELETED: lazy("%(actor)s deleted a view of the log."),
}
# Of agents that act for no person (client_credentials), and of a request that no person answered.
WITHOUT_PERSON: Mapping[str, str | Promise] = {
    Event.CONSENT_EXPIRED: lazy("A request of %(agent)s for consent expired before it was answered."),
    Event.TOKEN_ISSUED: lazy("%(agent)s received a token to act on its own: %(scopes)s."),
    Event.TOKEN_REVOKED: lazy("%(actor)s revoked tokens of %(agent)s."),
    Event.TOKEN_VERIFY: lazy("%(agent)s was allowed to act on its own: %(scopes)s."),
    Event.TOKEN_INTROSPECTED: lazy("%(actor)s introspected a token of %(agent)s."),
}
DENIED = lazy("%(agent)s was denied for %(person)s: %(scopes)s.")
DENIED_WITHOUT_PERSON = lazy("%(agent)s was denied: %(scopes)s.")
USER_DENIED = lazy("%(agent)s was denied by %(person)s, who had said no to this request: %(scopes)s.")
ASKED = lazy("%(agent)s must ask %(person)s first: %(scopes)s.")


def sentence_html(content: Mapping[str, Any], names: Mapping[str, str], titles: Mapping[str, str]) -> SafeString:
    """Return what happened, with the names of others set apart.

    `names` are those of the actor, agent, person, organization and policy, and empty where there is none. `titles` are
    those of the scopes.
    """
    words = {name: _marked(names[name]) or word for name, word in _unnamed(content["actor"]["kind"]).items()}
    scopes = get_text_list([titles.get(one, plain_text(one)) for one in content["scopes"]], _("and"))
    words["scopes"] = format_html("<bdi>{}</bdi>", scopes or _("no specific scopes"))
    return mark_safe(conditional_escape(str(_template(content))) % words)  # noqa: S308 -- all parts are escaped


def _template(content: Mapping[str, Any]) -> str | Promise:
    event, has_person = content["event"], content["userId"] is not None  # the event may be one of the past
    if event == Event.TOKEN_VERIFY and content["outcome"] == Outcome.DENIED:
        if content["reason"] == Reason.APPROVAL_REQUIRED:
            return USER_DENIED if content["metadata"].get("approvalStatus") == ApprovalStatus.DENIED else ASKED
        return DENIED if has_person else DENIED_WITHOUT_PERSON
    if not has_person and event in WITHOUT_PERSON:
        return WITHOUT_PERSON[event]
    return SENTENCES.get(event, event.replace("%", "%%"))


def _marked(name: str) -> SafeString | str:
    return format_html('<bdi class="named">{}</bdi>', name) if name else ""


def _unnamed(actor_kind: str) -> dict[str, str]:
    """Return the words that take the place of a name that the entry lacks."""
    return {
        "actor": str(ACTORS["system"]) if actor_kind == "system" else _("An unknown caller"),
        "agent": _("an agent"),
        "person": _("a person"),
        "organization": _("an organization"),
        "policy": _("a policy"),
    }
