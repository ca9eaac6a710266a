"""All events and outcomes in the log. The values are their names in the API."""

from enum import StrEnum


class Event(StrEnum):
    USER_REGISTERED = "user.registered"
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGN_IN_FAILED = "user.sign_in_failed"
    USER_DEVICE_ADDED = "user.device_added"
    USER_SIGNED_OUT = "user.signed_out"
    USER_SESSION_ENDED = "user.session_ended"
    USER_PASSWORD_CHANGED = "user.password_changed"
    USER_ACCOUNT_RECLAIMED = "user.account_reclaimed"
    USER_EMAIL_VERIFIED = "user.email_verified"
    USER_EMAIL_ADDED = "user.email_added"
    USER_EMAIL_REMOVED = "user.email_removed"
    USER_EMAIL_CHANGED = "user.email_changed"
    USER_PASSKEY_ADDED = "user.passkey_added"
    USER_PASSKEY_REMOVED = "user.passkey_removed"
    USER_TOTP_ADDED = "user.totp_added"
    USER_TOTP_REMOVED = "user.totp_removed"
    USER_RECOVERY_CODES_CREATED = "user.recovery_codes_created"
    USER_RECOVERY_CODE_USED = "user.recovery_code_used"
    USER_SECOND_FACTORS_REMOVED = "user.second_factors_removed"
    USER_SECOND_FACTOR_FAILED = "user.second_factor_failed"
    USER_PROFILE_CHANGED = "user.profile_changed"
    USER_MAILS_CHANGED = "user.mails_changed"
    USER_DATA_EXPORTED = "user.data_exported"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_ACCESS_CHANGED = "user.access_changed"
    USER_ERASED = "user.erased"
    USER_ACTIVITY_DISPUTED = "user.activity_disputed"

    DEVELOPER_REGISTERED = "developer.registered"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    ORGANIZATION_SUSPENDED = "organization.suspended"
    ORGANIZATION_REACTIVATED = "organization.reactivated"
    ORGANIZATION_VERIFIED = "organization.verified"
    ORGANIZATION_REVIEW_REQUESTED = "organization.review_requested"
    ORGANIZATION_REVIEW_DECLINED = "organization.review_declined"
    DOMAIN_CLAIMED = "domain.claimed"
    DOMAIN_PROVED = "domain.proved"
    DOMAIN_LOST = "domain.lost"
    DOMAIN_REMOVED = "domain.removed"
    RESOURCE_SERVER_CREATED = "resource_server.created"
    RESOURCE_SERVER_UPDATED = "resource_server.updated"
    RESOURCE_SERVER_DELETED = "resource_server.deleted"
    RESOURCE_SERVER_SECRET_ROTATED = "resource_server.secret_rotated"
    RESOURCE_SERVER_SECRET_REVOKED = "resource_server.secret_revoked"

    AGENT_CREATED = "agent.created"
    AGENT_UPDATED = "agent.updated"
    AGENT_SUSPENDED = "agent.suspended"
    AGENT_REACTIVATED = "agent.reactivated"
    AGENT_STOPPED = "agent.stopped"
    AGENT_STOP_LIFTED = "agent.stop_lifted"
    AGENT_PAUSED = "agent.paused"
    AGENT_RESUMED = "agent.resumed"
    AGENT_SECRET_CREATED = "agent.secret_created"
    AGENT_SECRET_ROTATED = "agent.secret_rotated"
    AGENT_SECRET_REVOKED = "agent.secret_revoked"
    AGENT_EXPIRED = "agent.expired"
    AGENT_DELETED = "agent.deleted"

    AGENTS_PAUSED = "agents.paused"
    AGENTS_RESUMED = "agents.resumed"
    EVERYTHING_STOPPED = "everything.stopped"
    EVERYTHING_STOP_LIFTED = "everything.stop_lifted"

    POLICY_CREATED = "policy.created"
    POLICY_UPDATED = "policy.updated"
    POLICY_DELETED = "policy.deleted"
    POLICY_SHADOWED = "policy.shadowed"

    CONSENT_REQUESTED = "consent.requested"
    CONSENT_APPROVED = "consent.approved"
    CONSENT_NARROWED = "consent.narrowed"
    CONSENT_DENIED = "consent.denied"
    CONSENT_REVOKED = "consent.revoked"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_REPLACED = "consent.replaced"

    APPROVAL_APPROVED = "approval.approved"
    APPROVAL_DENIED = "approval.denied"
    APPROVAL_EXPIRED = "approval.expired"
    APPROVAL_REVOKED = "approval.revoked"

    TOKEN_ISSUED = "token.issued"
    TOKEN_REFRESHED = "token.refreshed"
    TOKEN_REVOKED = "token.revoked"
    TOKEN_REPLAYED = "token.replayed"
    TOKEN_VERIFY = "token.verify"
    TOKEN_INTROSPECTED = "token.introspected"

    SANDBOX_CONSENT = "sandbox.consent"
    SANDBOX_VERIFY = "sandbox.verify"

    RESERVATION_COMMITTED = "reservation.committed"
    RESERVATION_VOIDED = "reservation.voided"
    RESERVATION_LAPSED = "reservation.lapsed"

    STAFF_ROLE_CREATED = "staff_role.created"
    STAFF_ROLE_UPDATED = "staff_role.updated"
    STAFF_ROLE_DELETED = "staff_role.deleted"
    ADMINISTRATION_REFUSED = "administration.refused"

    SIGNING_KEY_CREATED = "signing_key.created"

    AUDIT_EXPORTED = "audit.exported"
    ENTRY_DAMAGED = "entry.damaged"
    JOURNAL_ROW_DISCARDED = "journal_row.discarded"

    LOG_VIEW_SAVED = "log_view.saved"
    LOG_VIEW_RENAMED = "log_view.renamed"
    LOG_VIEW_DELETED = "log_view.deleted"


# What a developer tries out with their own agent. It touches nothing live and belongs to no person's history.
SANDBOX = frozenset({Event.SANDBOX_CONSENT, Event.SANDBOX_VERIFY})


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    INFO = "info"
