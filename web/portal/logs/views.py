"""The organization's log: the table with its filters, and one entry."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from core.errors import NotFound
from developers.models import Developer
from web.portal.logs.detail import describe, read_detail
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import OwnNames, suggested_names
from web.portal.logs.pages import read_page
from web.requests.access import developer_page
from web.requests.ids import ID


@require_safe
@developer_page
def logs(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the table. `?entry=` opens one of its entries beside it."""
    own = suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    page = read_page(request, form, own)
    wanted = request.GET.get("entry", "")
    row = next((row for row in page.rows if row.id == wanted), None)
    if wanted and row is None:
        return _entry_alone(wanted)
    context = {
        "form": form,
        "page": page,
        "rows": page.rows,
        "query": form.query(),
        "row_query": form.query(cursor=page.cursor),
        "is_unclear": not form.is_valid(),
        "chips": list(form.chips()),
        "detail": describe(row) if row else None,
    }
    return render(request, "web/portal/logs/logs.html", context)


@require_safe
@developer_page
def entry(request: HttpRequest, developer: Developer, entry_id: str) -> HttpResponse:
    detail = read_detail(entry_id, OwnNames(developer.organization_id, {}))
    return render(request, "web/portal/logs/log_entry.html", {"detail": detail})


def _entry_alone(entry_id: str) -> HttpResponse:
    """Redirect to the page of an entry that is not in the table. Raises `NotFound` if no entry has this id."""
    if not ID.fullmatch(entry_id):
        raise NotFound("No such log entry.")
    return redirect("web:log-entry", entry_id)
