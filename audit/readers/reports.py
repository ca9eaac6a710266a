"""Reports of activity that was not the user's own ("This was not me"), as administrators read them.

The page on which users report promises that administrators see neither who reports nor which entry. An administrator
can look up the user of an entry, of a connection and of a request, so these are withheld, too.
"""

from dataclasses import replace

from audit.events import Event
from audit.readers.criteria import Criteria
from audit.readers.reading import AuditEntry

REPORT = Event.USER_ACTIVITY_DISPUTED
# What an administrator may be told of a report besides the agent and its organization.
SHOWN_METADATA = frozenset({"disputedEvent"})


def withhold_reporter(entry: AuditEntry) -> AuditEntry:
    """Return a report without the user and what leads to them. Other entries are returned as they are."""
    if entry.event != REPORT:
        return entry
    record = {
        **entry.record,
        "actor": {**entry.record["actor"], "id": None},
        "metadata": {name: value for name, value in entry.record["metadata"].items() if name in SHOWN_METADATA},
        **dict.fromkeys(("userId", "consentId", "requestId")),
    }
    return replace(entry, user_id=None, consent_id=None, record=record, personal_parts={}, is_erased=False)


def without_named_reports(criteria: Criteria) -> Criteria:
    """Return the criteria of an administrator's search, which hide reports if they say whose these are."""
    names_user = any((criteria.user_id, criteria.consent_id, criteria.request_id, "_" in (criteria.actor or "")))
    return replace(criteria, hidden=REPORT) if names_user else criteria
