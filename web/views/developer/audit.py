"""The organization's log."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.selectors import agents_for_organization
from audit.selectors import describe, entries_for_organization
from core.text import plain_text
from developers.models import Developer
from web.access import developer_page
from web.forms.filters import AuditFilterForm
from web.names import add_names
from web.paging import paginate


@require_safe
@developer_page
def audit(request: HttpRequest, developer: Developer) -> HttpResponse:
    agents = [(agent.id, plain_text(agent.name)) for agent in agents_for_organization(developer.organization_id)]
    form = AuditFilterForm(request.GET, agents=agents)
    page = paginate(request, entries_for_organization(developer.organization_id, form.filters()))
    entries = [{**entry, "row": row} for entry, row in zip(add_names(describe(page.items)), page.items, strict=True)]
    return render(request, "web/developer/audit.html", {"form": form, "page": page, "entries": entries})
