"""Kinds of entries by which users filter their history. Each event about a user belongs to one of the first three."""

from audit.events import Event

ACTIONS = frozenset(
    {
        Event.TOKEN_VERIFY,
        Event.TOKEN_INTROSPECTED,
        Event.TOKEN_ISSUED,
        Event.TOKEN_REFRESHED,
        Event.TOKEN_REVOKED,
        Event.TOKEN_REPLAYED,
        Event.RESERVATION_COMMITTED,
        Event.RESERVATION_VOIDED,
        Event.RESERVATION_LAPSED,
        Event.ENTRY_DAMAGED,
    }
)
DECISIONS = frozenset(
    {
        Event.CONSENT_REQUESTED,
        Event.CONSENT_APPROVED,
        Event.CONSENT_NARROWED,
        Event.CONSENT_DENIED,
        Event.CONSENT_REVOKED,
        Event.CONSENT_EXPIRED,
        Event.CONSENT_REPLACED,
        Event.APPROVAL_APPROVED,
        Event.APPROVAL_DENIED,
        Event.APPROVAL_EXPIRED,
        Event.APPROVAL_REVOKED,
        Event.AGENT_PAUSED,
        Event.AGENT_RESUMED,
        Event.AGENTS_PAUSED,
        Event.AGENTS_RESUMED,
    }
)
OF_ACCOUNT = ("user.", "developer.", "api_key.", "audit.")
ACCOUNT = frozenset(event for event in Event if event.startswith(OF_ACCOUNT))
# The user's own grants, revocations and sign-ins.
AUDIT = frozenset(
    {
        Event.CONSENT_APPROVED,
        Event.CONSENT_NARROWED,
        Event.CONSENT_DENIED,
        Event.CONSENT_REVOKED,
        Event.CONSENT_REPLACED,
        Event.APPROVAL_APPROVED,
        Event.APPROVAL_REVOKED,
        Event.USER_SIGNED_IN,
        Event.USER_SIGN_IN_FAILED,
        Event.USER_SIGNED_OUT,
        Event.USER_SESSION_ENDED,
    }
)
KINDS: dict[str, frozenset[Event]] = {"actions": ACTIONS, "decisions": DECISIONS, "account": ACCOUNT, "audit": AUDIT}
