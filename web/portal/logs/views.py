"""The organization's log: the table with its filters, and one entry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from audit.selectors import describe_for_organization, entries_for_organization
from core.errors import NotFound
from core.http import SeeOther
from developers.models import Developer
from developers.roles import Right
from web.portal.logs.detail import describe, read_detail
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import AGENT, POLICY, SERVER, OwnNames, suggested_names
from web.portal.logs.phrases import SEARCHES
from web.portal.logs.rows import LogRow, read_rows
from web.portal.logs.search import write_search
from web.requests.access import developer_page
from web.requests.ids import ID
from web.requests.paging import paginate_log
from web.requests.portal import portal_url

ROWS = 25
# The log has no index of request ids that callers chose, so a search for one reads this many entries at a time.
SEARCHED = 500
NAMED = {"agent": AGENT, "chain": AGENT, "policy": POLICY, "server": SERVER}


@developer_page(Right.READ)
def logs(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the table. `?entry=` opens one of its entries beside it. A search leads to the URL with its filters."""
    own = suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    if form.searched is not None:
        return SeeOther(f"{portal_url(developer.organization_id, 'logs')}?{form.searched}".rstrip("?"))
    page = read_page(request, form, own)
    wanted = request.GET.get("entry", "")
    row = next((row for row in page.rows if row.id == wanted), None)
    if wanted and row is None:
        return _entry_alone(developer, wanted)
    context = {
        "form": form,
        "page": page,
        "rows": page.rows,
        "query": form.query(),
        "row_query": form.query(cursor=page.cursor),
        "is_unclear": not form.is_valid(),
        "searches": list(_examples(own)),
        "detail": describe(row) if row else None,
    }
    return render(request, "web/portal/logs/logs.html", context)


def _examples(own: OwnNames) -> Iterator[tuple[str, Any, bool]]:
    """Yield each example of a search, what it finds, and whether it can be tried as it is."""
    for example, words in SEARCHES:
        field = example.partition(":")[0]
        if field in NAMED:
            name = next(iter(own.of_kind(NAMED[field]).values()), "")
            yield write_search({field: name}) if name else example, words, bool(name)
        else:
            yield example, words, "…" not in example


@developer_page(Right.READ)
def entry(request: HttpRequest, developer: Developer, entry_id: str) -> HttpResponse:
    detail = read_detail(entry_id, OwnNames(developer.organization_id, {}))
    return render(request, "web/portal/logs/log_entry.html", {"detail": detail})


def _entry_alone(developer: Developer, entry_id: str) -> HttpResponse:
    """Redirect to the page of an entry that is not in the table. Raises `NotFound` if no entry has this id."""
    if not ID.fullmatch(entry_id):
        raise NotFound("No such log entry.")
    return redirect(portal_url(developer.organization_id, "log-entry", entry_id))


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
