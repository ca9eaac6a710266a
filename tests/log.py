"""Read the log, once the sequencer has moved into it what the journal has."""

from typing import Any

from django.db.models import QuerySet

from audit.models import Entry, Journal
from audit.readers.reading import AuditEntry, read_entry
from audit.sequencing.sequencer import sequence


def log_entries(**filters: Any) -> QuerySet[Entry]:
    """Return the entries that match, newest first."""
    if Journal.objects.exists():
        sequence()
    return Entry.objects.filter(**filters)


def log_entry(entry_id: str) -> AuditEntry:
    """Return the entry with all its parts."""
    return read_entry(log_entries().get(pk=entry_id))


def personal_data(entry_id: str) -> dict[str, Any]:
    """Return the personal data of the entry. It is empty if it was erased."""
    return log_entry(entry_id).personal
