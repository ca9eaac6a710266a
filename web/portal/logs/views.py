"""The organization's log: the table with its filters, one entry, and what is new."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from audit.readers.news import Ends, current_ends, may_have_news
from audit.readers.snapshot import take_snapshot
from audit.selectors import entries_for_organization
from core.errors import NotFound
from developers.models import Developer
from web.portal.logs.detail import describe, read_detail
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import OwnNames, suggested_names
from web.portal.logs.pages import LogPage, read_first_page, read_page
from web.requests.access import developer_page
from web.requests.ids import ID
from web.requests.paging import read_cursor

LIVE = "live"
# The names of the filters at the log's earlier path.
RENAMED = {"since": "from", "until": "to"}


@require_safe
@developer_page
def logs(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the table. `?entry=` opens an entry beside it, and with `?live=1` new entries appear in the table."""
    own = suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    is_live = bool(request.GET.get(LIVE)) and not read_cursor(request) and form.is_valid()
    ends = current_ends() if is_live else ""  # before the entries, so that none is missed between the two
    page = read_page(request, form, own)
    wanted = request.GET.get("entry", "")
    row = next((row for row in page.rows if row.id == wanted), None)
    if wanted and row is None:
        return _entry_alone(wanted)
    context = {
        **_listing(form, page),
        "chips": list(form.chips()),
        "detail": describe(row) if row else None,
        "is_live": is_live,
        "ends": str(ends),
    }
    return render(request, "web/portal/logs/logs.html", context)


@require_safe
@developer_page
def entry(request: HttpRequest, developer: Developer, entry_id: str) -> HttpResponse:
    detail = read_detail(entry_id, OwnNames(developer.organization_id, {}))
    return render(request, "web/portal/logs/log_entry.html", {"detail": detail})


@require_safe
@developer_page
def news(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Return the newest rows, or 204 if there are none since `?ends=`. Rows newer than `?after=` are marked."""
    since, ends = Ends.read(request.GET.get("ends", "")), current_ends()
    if since == ends:
        return HttpResponse(status=204)
    own = suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    criteria = entries_for_organization(own.organization_id, form.filters()).criteria
    log, newest_shown = take_snapshot(), request.GET.get("after", "")
    if since is not None and not may_have_news(log, criteria, since, newest_shown):
        return HttpResponse(status=204, headers={"X-Log-Ends": str(ends)})
    page = read_first_page(log, form, own)
    number = _number_before(page, newest_shown)
    context = {**_listing(form, page), "new_rows": page.rows[:number], "words": _words(page, number), "is_live": True}
    answer = render(request, "web/portal/logs/log_listing.html", context)
    answer["X-Log-Ends"] = str(ends)
    return answer


@require_safe
@developer_page
def earlier_path(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Redirect bookmarks of the log's earlier path, whose filters had other names."""
    query = request.GET.copy()
    for old, new in RENAMED.items():
        if old in query and new not in query:
            query.setlist(new, query.pop(old))
    return redirect(f"{reverse('web:logs')}?{query.urlencode()}" if query else reverse("web:logs"))


def _listing(form: LogFilterForm, page: LogPage) -> dict[str, Any]:
    return {
        "form": form,
        "page": page,
        "rows": page.rows,
        "query": form.query(),
        "row_query": form.query(cursor=page.cursor),
        "is_unclear": not form.is_valid(),
    }


def _entry_alone(entry_id: str) -> HttpResponse:
    """Redirect to the page of an entry that is not in the table. Raises `NotFound` if no entry has this id."""
    if not ID.fullmatch(entry_id):
        raise NotFound("No such log entry.")
    return redirect("web:log-entry", entry_id)


def _words(page: LogPage, number: int) -> str:
    """Return a text with the number of new entries. Empty if there are none."""
    if not number:
        return ""
    if page.next_cursor and number == len(page.rows):
        words = ngettext("%(number)d or more new entries", "%(number)d or more new entries", number)
    else:
        words = ngettext("%(number)d new entry", "%(number)d new entries", number)
    return words % {"number": number}


def _number_before(page: LogPage, entry_id: str) -> int:
    """Return how many rows are newer than this entry: all of them if it is not on the page."""
    return next((place for place, row in enumerate(page.rows) if row.id == entry_id), len(page.rows))
