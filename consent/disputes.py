"""Reports by users that an entry in their history is not theirs, with what they stop at once."""

from contextlib import suppress
from datetime import datetime
from enum import StrEnum

from accounts.models import User
from accounts.services import hold_account
from accounts.session_ends import end_other_sessions
from agents.issued import end_issued_in_revocation
from agents.reports import mark_reported
from audit.entries.drafts import Draft
from audit.events import Event
from audit.readers.reading import AuditEntry
from audit.selectors import Filters, entries_for_user
from audit.services import record
from consent.errors import ConsentAlreadyDecided, NotConnected
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents
from consent.services import revoke_consent
from core.actor import Actor
from core.locks import revocation


class Stop(StrEnum):
    """What the user stops."""

    NOTHING = "nothing"
    AGENT = "agent"
    ALL_AGENTS = "all"
    CONNECTION = "connection"


def dispute_activity(
    *,
    actor: Actor,
    user: User,
    entry: AuditEntry,
    consent: Consent | None,
    stop: Stop,
    kept_key: str | None = None,
    issued_since: datetime | None = None,
) -> str:
    """Report that the entry was not the user, and stop what they chose. Return the id of the report.

    An entry has one report. A second call returns the first report, and also stops what the user chose.
    `consent` is the connection of the entry, or None without one. `kept_key` is the session that stays when all others
    end, or None to end none. From `issued_since` on, what the user's account made as a developer ends, too. The report
    is in the log of the agent's organization, too, without anything personal. A connection that has ended in the
    meantime needs no stop. Raises `NotAuthenticated` if the account has changed, and `OthersPause` if the actor is not
    the user.
    """
    with revocation():
        held = hold_account(user)
        earlier = find_report(held.id, entry)
        report = earlier.id if earlier else _report(actor, held, entry, consent)
        if kept_key is not None:
            end_other_sessions(actor=actor, user=held, kept_key=kept_key)
        if issued_since:
            end_issued_in_revocation(actor=actor, user=held, since=issued_since)
        # Last, because it takes the lock of revocations.
        with suppress(NotConnected, ConsentAlreadyDecided):
            _stop(actor, held, consent, stop)
    return report


def find_report(user_id: str, entry: AuditEntry) -> AuditEntry | None:
    """Return the user's report about the entry, or None."""
    reports = entries_for_user(user_id, Filters(agent_id=entry.agent_id, event=Event.USER_ACTIVITY_DISPUTED))
    return next((one for one in reports if one.content["metadata"].get("entryId") == entry.id), None)


def _report(actor: Actor, user: User, entry: AuditEntry, consent: Consent | None) -> str:
    if entry.agent_id is not None:
        mark_reported(entry.agent_id)
    return record(_draft(actor, user, entry, consent))


def _stop(actor: Actor, user: User, consent: Consent | None, stop: Stop) -> None:
    if stop == Stop.ALL_AGENTS:
        pause_all_agents(actor=actor, user=user)
    elif stop == Stop.AGENT and consent is not None:
        pause_agent(actor=actor, consent=consent)
    elif stop == Stop.CONNECTION and consent is not None:
        revoke_consent(actor=actor, consent=consent)


def _draft(actor: Actor, user: User, entry: AuditEntry, consent: Consent | None) -> Draft:
    return Draft(
        event=Event.USER_ACTIVITY_DISPUTED,
        actor=actor,
        organization_id=consent.agent.organization_id if consent else None,
        user_id=user.id,
        agent_id=entry.agent_id,
        consent_id=consent.id if consent else None,
        metadata={"entryId": entry.id, "disputedEvent": entry.event},
    )
