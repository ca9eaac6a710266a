"""Pages of an organization's log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from audit.readers.snapshot import Snapshot
from audit.selectors import describe_for_organization, entries_for_organization, newest_for_organization
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.requests.paging import Page, paginate_log

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
    listing = entries_for_organization(own.organization_id, form.filters())
    return _log_page(paginate_log(request, listing, _size(form)), form, own)


def read_first_page(log: Snapshot, form: LogFilterForm, own: OwnNames) -> LogPage:
    """Return the first page of the log as it was at one moment. It is empty if a filter is invalid."""
    if not form.is_valid():
        return NOTHING
    size = _size(form)
    found = newest_for_organization(log, own.organization_id, form.filters(), size + 1)
    return _log_page(Page(found[:size], "", found[size - 1].id if len(found) > size else ""), form, own)


def _size(form: LogFilterForm) -> int:
    return SEARCHED if form.foreign_request_id else ROWS


def _log_page(page: Page, form: LogFilterForm, own: OwnNames) -> LogPage:
    found, wanted = page.items, form.foreign_request_id
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
