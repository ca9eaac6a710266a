"""Reports that an entry was not the user."""

from audit.events import Event
from audit.readers.reading import AuditEntry
from audit.selectors import Filters, entries_for_user
from web.ledger.items import Item

# So many of the newest are looked through.
NUMBER = 50


def find_report(user_id: str, item: Item) -> AuditEntry | None:
    """Return the newest report about the entry, or None."""
    reports, _ = entries_for_user(user_id, Filters(event=Event.USER_ACTIVITY_DISPUTED)).page("", NUMBER)
    return next((one for one in reports if one.content["metadata"].get("entryId") == item.id), None)
