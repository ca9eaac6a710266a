"""Kinds of entries by which users filter their history. Each event about a user belongs to one, grants to two."""

from audit.events import Event


def _of(*prefixes: str) -> frozenset[Event]:
    return frozenset(event for event in Event if event.startswith(prefixes))


# Events that agents cause all the time, and that change nothing. Only filters and "Account" show them.
ROUTINE = frozenset({Event.TOKEN_ISSUED, Event.TOKEN_REFRESHED, Event.TOKEN_INTROSPECTED, Event.DELEGATION_REDEEMED})
ACTIONS = (_of("token.", "reservation.", "entry.") | {Event.DELEGATION_CREATED}) - ROUTINE
DECISIONS = _of(
    "consent.", "approval.", "delegation.ended", "agent.paused", "agent.resumed", "agent.reported", "agents."
)
MEMBERSHIPS = _of("member.", "invitation.accepted", "invitation.declined", "organization.created")
ACCOUNT = _of("user.", "developer.", "api_key.", "audit.") | MEMBERSHIPS - {Event.MEMBER_REFUSED} | ROUTINE
# The user's own grants and revocations.
GRANTS = frozenset(
    {
        Event.CONSENT_APPROVED,
        Event.CONSENT_NARROWED,
        Event.CONSENT_DENIED,
        Event.CONSENT_REVOKED,
        Event.CONSENT_REPLACED,
        Event.APPROVAL_APPROVED,
        Event.APPROVAL_REVOKED,
    }
)
KINDS: dict[str, frozenset[Event]] = {"actions": ACTIONS, "decisions": DECISIONS, "account": ACCOUNT | GRANTS}
