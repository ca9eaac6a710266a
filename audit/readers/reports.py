"""Reports by users, as administrators read them: of activity that was not their own, and of agents.

The pages on which users report promise that administrators see neither who reports nor which entry. An administrator
can look up the user of an entry, of a connection and of a request, so these are withheld, too.
"""

from dataclasses import replace

from audit.entries.drafts import REASON
from audit.events import Event
from audit.readers.criteria import Criteria
from audit.readers.reading import AuditEntry

REPORTS = frozenset({Event.USER_ACTIVITY_DISPUTED, Event.AGENT_REPORTED})
# What an administrator may be told of a report besides the agent and its organization, and what the user typed.
SHOWN_METADATA = frozenset({"disputedEvent", "concern"})


def withhold_reporter(entry: AuditEntry) -> AuditEntry:
    """Return a report without the user and what leads to them. Other entries are returned as they are."""
    if entry.event not in REPORTS:
        return entry
    record = {
        **entry.record,
        "actor": {**entry.record["actor"], "id": None},
        "metadata": {name: value for name, value in entry.record["metadata"].items() if name in SHOWN_METADATA},
        **dict.fromkeys(("userId", "consentId", "requestId")),
    }
    typed = {name: part for name, part in entry.personal_parts.items() if name == REASON}
    return replace(entry, user_id=None, consent_id=None, record=record, personal_parts=typed, is_erased=False)


def without_named_reports(criteria: Criteria) -> Criteria:
    """Return the criteria of an administrator's search, which hide reports if they say whose these are."""
    names_user = any((criteria.user_id, criteria.consent_id, criteria.request_id, "_" in (criteria.actor or "")))
    return replace(criteria, hidden=REPORTS) if names_user else criteria
