"""All events and outcomes in the log. The values are their names in the API."""

from enum import StrEnum
from typing import Self


class Event(StrEnum):
    """What happened, with a sentence for administrators.

    A sentence can name the `actor`, the `person` (the user whom the entry is about), their `account`, the `agent`,
    the `organization`, the `policy` and the `scopes`. What the person themselves reads is in `web.wording.events`.
    """

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        event = str.__new__(cls, value)
        event._value_ = value
        event.sentence = sentence
        return event

    USER_REGISTERED = "user.registered", "%(person)s created an account."
    USER_SIGNED_IN = "user.signed_in", "%(person)s signed in."
    USER_SIGN_IN_FAILED = "user.sign_in_failed", "A sign-in to %(account)s failed."
    USER_DEVICE_ADDED = "user.device_added", "%(person)s signed in with a new browser or program."
    USER_SIGNED_OUT = "user.signed_out", "%(person)s signed out."
    USER_SESSION_ENDED = "user.session_ended", "%(actor)s ended sessions of %(account)s."
    USER_PASSWORD_CHANGED = "user.password_changed", "The password of %(account)s was changed."
    USER_ACCOUNT_RECLAIMED = "user.account_reclaimed", "%(person)s reset the password, which ended earlier access."
    USER_EMAIL_VERIFIED = "user.email_verified", "%(person)s confirmed an email address."
    USER_EMAIL_ADDED = "user.email_added", "%(person)s added an email address."
    USER_EMAIL_REMOVED = "user.email_removed", "%(person)s removed an email address."
    USER_EMAIL_CHANGED = "user.email_changed", "%(person)s changed the primary email address."
    USER_PASSKEY_ADDED = "user.passkey_added", "%(person)s added a passkey."
    USER_PASSKEY_REMOVED = "user.passkey_removed", "%(person)s removed a passkey."
    USER_TOTP_ADDED = "user.totp_added", "%(person)s added an authenticator app."
    USER_TOTP_REMOVED = "user.totp_removed", "%(person)s removed the authenticator app."
    USER_RECOVERY_CODES_CREATED = "user.recovery_codes_created", "%(person)s created new recovery codes."
    USER_RECOVERY_CODE_USED = "user.recovery_code_used", "%(person)s used a recovery code."
    USER_SECOND_FACTORS_REMOVED = (
        "user.second_factors_removed",
        "%(actor)s removed the second factors of %(account)s.",
    )
    USER_SECOND_FACTOR_FAILED = (
        "user.second_factor_failed",
        "A sign-in to %(account)s had the right password, but the wrong second factor.",
    )
    USER_PROFILE_CHANGED = "user.profile_changed", "The profile of %(account)s was changed."
    USER_MAILS_CHANGED = "user.mails_changed", "%(person)s changed the email settings."
    USER_DATA_EXPORTED = "user.data_exported", "The data of %(account)s was downloaded."
    USER_DEACTIVATED = "user.deactivated", "%(actor)s deactivated %(account)s."
    USER_REACTIVATED = "user.reactivated", "%(actor)s reactivated %(account)s."
    USER_ACCESS_CHANGED = "user.access_changed", "%(actor)s changed the administrator rights of %(account)s."
    USER_ERASED = "user.erased", "The data of %(account)s was erased."
    USER_ACTIVITY_DISPUTED = "user.activity_disputed", "Activity was reported as unauthorized."

    DEVELOPER_REGISTERED = "developer.registered", "%(actor)s became a developer."
    API_KEY_CREATED = "api_key.created", "%(actor)s created an API key."
    API_KEY_ROTATED = "api_key.rotated", "%(actor)s rotated an API key."
    API_KEY_REVOKED = "api_key.revoked", "%(actor)s revoked an API key."
    ORGANIZATION_UPDATED = "organization.updated", "%(actor)s changed the details of %(organization)s."
    ORGANIZATION_SUSPENDED = "organization.suspended", "%(actor)s suspended the organization %(organization)s."
    ORGANIZATION_REACTIVATED = "organization.reactivated", "%(actor)s reactivated the organization %(organization)s."
    ORGANIZATION_VERIFIED = (
        "organization.verified",
        "%(actor)s decided whether the organization %(organization)s is verified.",
    )
    ORGANIZATION_REVIEW_REQUESTED = (
        "organization.review_requested",
        "%(actor)s asked to have %(organization)s verified.",
    )
    ORGANIZATION_REVIEW_DECLINED = (
        "organization.review_declined",
        "%(actor)s declined to verify the organization %(organization)s.",
    )
    ORGANIZATION_CREATED = "organization.created", "%(actor)s created the organization %(organization)s."
    ORGANIZATION_STOPPED = "organization.stopped", "%(actor)s stopped all agents of %(organization)s."
    ORGANIZATION_RESUMED = "organization.resumed", "%(actor)s lifted the stop of all agents of %(organization)s."
    ORGANIZATION_DELETION_STARTED = (
        "organization.deletion_started",
        "%(actor)s asked to delete the organization %(organization)s, which stops it.",
    )
    ORGANIZATION_RESTORED = "organization.restored", "%(actor)s restored the organization %(organization)s."
    ORGANIZATION_DELETED = "organization.deleted", "The organization %(organization)s was deleted."
    INVITATION_CREATED = "invitation.created", "%(actor)s invited someone to join %(organization)s."
    INVITATION_ACCEPTED = "invitation.accepted", "%(actor)s accepted an invitation to join %(organization)s."
    INVITATION_DECLINED = "invitation.declined", "%(person)s declined an invitation to join %(organization)s."
    INVITATION_REVOKED = "invitation.revoked", "%(actor)s revoked an invitation to join %(organization)s."
    INVITATION_EXPIRED = "invitation.expired", "An invitation to join %(organization)s expired."
    MEMBER_ROLE_CHANGED = "member.role_changed", "%(actor)s changed the role of a member of %(organization)s."
    MEMBER_REMOVED = "member.removed", "%(actor)s removed a member of %(organization)s."
    MEMBER_LEFT = "member.left", "%(actor)s left %(organization)s."
    MEMBER_REFUSED = "member.refused", "%(actor)s tried something that their role does not permit."
    DOMAIN_CLAIMED = "domain.claimed", "%(actor)s began to prove a domain of %(organization)s."
    DOMAIN_PROVED = "domain.proved", "%(organization)s proved its domain."
    DOMAIN_LOST = "domain.lost", "The proof of the domain of %(organization)s is gone."
    DOMAIN_REMOVED = "domain.removed", "%(actor)s removed the domain of %(organization)s."
    RESOURCE_SERVER_CREATED = (
        "resource_server.created",
        "%(actor)s registered a resource server of %(organization)s.",
    )
    RESOURCE_SERVER_UPDATED = "resource_server.updated", "%(actor)s changed a resource server of %(organization)s."
    RESOURCE_SERVER_DELETED = "resource_server.deleted", "%(actor)s deleted a resource server of %(organization)s."
    RESOURCE_SERVER_SECRET_ROTATED = (
        "resource_server.secret_rotated",
        "%(actor)s rotated the secret of a resource server.",
    )
    RESOURCE_SERVER_SECRET_REVOKED = (
        "resource_server.secret_revoked",
        "%(actor)s revoked secrets of a resource server.",
    )

    AGENT_CREATED = "agent.created", "%(actor)s registered the agent %(agent)s."
    AGENT_UPDATED = "agent.updated", "%(actor)s changed the agent %(agent)s."
    AGENT_SUSPENDED = "agent.suspended", "%(actor)s suspended the agent %(agent)s."
    AGENT_REACTIVATED = "agent.reactivated", "%(actor)s reactivated the agent %(agent)s."
    AGENT_STOPPED = "agent.stopped", "%(actor)s stopped the agent %(agent)s."
    AGENT_STOP_LIFTED = "agent.stop_lifted", "%(actor)s lifted the stop of the agent %(agent)s."
    DELEGATION_CREATED = "delegation.created", "%(agent)s was handed work by another agent."
    DELEGATION_REDEEMED = "delegation.redeemed", "%(agent)s redeemed what another agent had handed to it."
    DELEGATION_ENDED = "delegation.ended", "%(actor)s ended what another agent had handed to %(agent)s."
    AGENT_PAUSED = "agent.paused", "%(person)s paused %(agent)s."
    AGENT_RESUMED = "agent.resumed", "%(person)s resumed %(agent)s."
    AGENT_SECRET_CREATED = "agent.secret_created", "%(actor)s created a client secret of the agent %(agent)s."
    AGENT_SECRET_ROTATED = "agent.secret_rotated", "%(actor)s rotated a client secret of the agent %(agent)s."
    AGENT_SECRET_REVOKED = "agent.secret_revoked", "%(actor)s revoked a client secret of the agent %(agent)s."
    AGENT_REPORTED = "agent.reported", "The agent %(agent)s was reported to the administrators."
    AGENT_REVIEWED = "agent.reviewed", "%(actor)s reviewed the reports about the agent %(agent)s."
    AGENT_EXPIRED = "agent.expired", "The agent %(agent)s expired, because it was never used."
    AGENT_DELETED = "agent.deleted", "%(actor)s deleted the agent %(agent)s."

    AGENTS_PAUSED = "agents.paused", "%(person)s paused all agents."
    AGENTS_RESUMED = (
        "agents.resumed",
        "%(person)s resumed all agents. Agents that were paused one by one are still paused.",
    )
    EVERYTHING_STOPPED = "everything.stopped", "%(actor)s stopped all agents."
    EVERYTHING_STOP_LIFTED = "everything.stop_lifted", "%(actor)s lifted the stop of all agents."

    POLICY_CREATED = "policy.created", "%(actor)s created the policy %(policy)s."
    POLICY_UPDATED = "policy.updated", "%(actor)s changed the policy %(policy)s."
    POLICY_DELETED = "policy.deleted", "%(actor)s deleted the policy %(policy)s."
    POLICY_SHADOWED = "policy.shadowed", "The policy %(policy)s would have denied a request from %(agent)s."

    CONSENT_REQUESTED = "consent.requested", "%(agent)s asked for consent: %(scopes)s."
    CONSENT_APPROVED = "consent.approved", "%(person)s allowed %(agent)s: %(scopes)s."
    CONSENT_NARROWED = "consent.narrowed", "%(person)s narrowed what %(agent)s may do."
    CONSENT_DENIED = "consent.denied", "%(person)s did not allow the request from %(agent)s."
    CONSENT_REVOKED = "consent.revoked", "%(actor)s revoked the access of %(agent)s."
    CONSENT_EXPIRED = "consent.expired", "The access of %(agent)s expired."
    CONSENT_REPLACED = "consent.replaced", "A new decision about %(agent)s replaced the earlier one."

    APPROVAL_APPROVED = "approval.approved", "%(person)s approved a request from %(agent)s: %(scopes)s."
    APPROVAL_DENIED = "approval.denied", "%(person)s denied a request from %(agent)s: %(scopes)s."
    APPROVAL_EXPIRED = "approval.expired", "A request from %(agent)s expired before it was answered: %(scopes)s."
    APPROVAL_REVOKED = "approval.revoked", "%(person)s revoked an approval for %(agent)s: %(scopes)s."

    TOKEN_ISSUED = "token.issued", "%(agent)s received tokens: %(scopes)s."
    TOKEN_REFRESHED = "token.refreshed", "%(agent)s refreshed its tokens."
    TOKEN_REVOKED = "token.revoked", "%(actor)s revoked tokens of %(agent)s."
    TOKEN_REPLAYED = "token.replayed", "A token of %(agent)s was used twice, so its tokens were revoked."
    TOKEN_VERIFY = "token.verify", "%(agent)s was allowed: %(scopes)s."
    TOKEN_INTROSPECTED = "token.introspected", "%(actor)s introspected a token of %(agent)s."

    RESERVATION_COMMITTED = "reservation.committed", "%(actor)s committed a reservation of %(agent)s."
    RESERVATION_VOIDED = "reservation.voided", "%(actor)s voided a reservation of %(agent)s."
    RESERVATION_LAPSED = "reservation.lapsed", "A reservation of %(agent)s expired and was released."

    WEBHOOK_CREATED = "webhook.created", "%(actor)s created a webhook of %(organization)s."
    WEBHOOK_UPDATED = "webhook.updated", "%(actor)s changed a webhook of %(organization)s."
    WEBHOOK_DISABLED = "webhook.disabled", "A webhook of %(organization)s was switched off."
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated", "%(actor)s rotated the secret of a webhook of %(organization)s."
    WEBHOOK_REPLAYED = "webhook.replayed", "%(actor)s had events sent again to a webhook of %(organization)s."
    WEBHOOK_TEST = "webhook.test", "%(actor)s sent a test event to a webhook of %(organization)s."
    WEBHOOK_DELETED = "webhook.deleted", "%(actor)s deleted a webhook of %(organization)s."

    STAFF_ROLE_CREATED = "staff_role.created", "%(actor)s created a staff role."
    STAFF_ROLE_UPDATED = "staff_role.updated", "%(actor)s changed a staff role."
    STAFF_ROLE_DELETED = "staff_role.deleted", "%(actor)s deleted a staff role."
    ADMINISTRATION_REFUSED = "administration.refused", "%(actor)s tried an action that none of their roles permits."

    SIGNING_KEY_CREATED = "signing_key.created", "%(actor)s created a signing key."

    AUDIT_EXPORTED = "audit.exported", "%(actor)s exported entries of the log."
    ENTRY_DAMAGED = "entry.damaged", "An entry was damaged before it was logged. Only its ID and digest are known."
    JOURNAL_ROW_DISCARDED = "journal_row.discarded", "%(actor)s discarded a damaged row of the journal."


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    INFO = "info"
