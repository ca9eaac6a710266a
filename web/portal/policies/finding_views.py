"""The calls that a policy which only records would have stopped, by rule and agent."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from developers.models import Developer
from policies.selectors import policy_for_organization
from web.portal.policies.findings import Place, describe_rows, read_recorded
from web.requests.access import developer_page
from web.requests.paging import part_of
from web.wording.names import add_names


@require_safe
@developer_page
def findings(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    """List the newest calls of the place that the URL names, newest first."""
    policy = policy_for_organization(developer.organization_id, policy_id)
    wanted = Place.wanted(request.GET)
    recorded = read_recorded(policy)
    found = recorded.at(wanted)
    part = part_of(request, found)
    context = {
        "policy": policy,
        "recorded": recorded,
        "total": len(found),
        "row": next((row for row in describe_rows(recorded) if row.place == wanted), None),
        "would": wanted.would,
        "entries": add_names(list(part.items), organization_id=developer.organization_id),
        "part": part,
    }
    return render(request, "web/portal/policies/policy_findings.html", context)
