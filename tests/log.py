"""Read the log as its readers do: with the decisions that are still in the journal."""

from typing import Any

from django.db.models import QuerySet

from audit.models import Entry
from audit.sequencer import catch_up


def log_entries(**filters: Any) -> QuerySet[Entry]:
    """Return the entries that match, newest first."""
    catch_up()
    return Entry.objects.filter(**filters)


def log_entry(entry_id: str) -> Entry:
    return log_entries().get(pk=entry_id)


def personal_data(entry_id: str) -> dict[str, Any]:
    """Return the personal data of the entry. It is empty if it was erased."""
    return log_entry(entry_id).personal
