"""The organization's audit log."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.selectors import agents_for_organization
from audit.selectors import entries_for_organization
from developers.models import Developer
from web.access import developer_page
from web.developer_log import log_rows
from web.forms.filters import AuditFilterForm
from web.paging import paginate_log


@require_safe
@developer_page
def audit(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = AuditFilterForm(request.GET, agents=agents_for_organization(developer.organization_id))
    page = paginate_log(request, entries_for_organization(developer.organization_id, form.filters()))
    entries = log_rows(page.items, developer.organization_id)
    return render(request, "web/developer/audit.html", {"form": form, "page": page, "entries": entries})
