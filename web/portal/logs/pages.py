"""Pages of an organization's log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from audit.selectors import describe_for_organization, entries_for_organization
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.requests.paging import paginate_log

ROWS = 25
# The log has no index of request ids that callers chose, so a search for one reads this many entries at a time.
SEARCHED = 500


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page. `searched_to` is how far an unfinished search got, else None."""

    rows: Sequence[LogRow]
    cursor: str
    next_cursor: str
    searched_to: datetime | None


NOTHING = LogPage([], "", "", None)


def read_page(request: HttpRequest, form: LogFilterForm, own: OwnNames) -> LogPage:
    """Return the page of the log that `?cursor=` asks for. It is empty if a filter is invalid."""
    if not form.is_valid():
        return NOTHING
    listing, wanted = entries_for_organization(own.organization_id, form.filters()), form.foreign_request_id
    page = paginate_log(request, listing, SEARCHED if wanted else ROWS)
    found = page.items
    if wanted:
        described = describe_for_organization(found, own.organization_id)
        found = [entry for entry, content in zip(found, described, strict=True) if content["requestId"] == wanted]
    is_unfinished = bool(wanted and page.next_cursor)
    return LogPage(
        read_rows(found, own),
        page.cursor,
        page.next_cursor,
        page.items[-1].timestamp if is_unfinished else None,
    )
