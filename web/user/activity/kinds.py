"""Kinds of entries by which users filter their history. Each event about a user belongs to one of the first three."""

from audit.events import Event


def _of(*prefixes: str) -> frozenset[Event]:
    return frozenset(event for event in Event if event.startswith(prefixes))


ACTIONS = _of("token.", "reservation.", "entry.")
DECISIONS = _of("consent.", "approval.", "agent.paused", "agent.resumed", "agent.reported", "agents.")
ACCOUNT = _of("user.", "developer.", "api_key.", "audit.")
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
