"""The analytics: what agents and services did over time, and what users answered."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.selectors import agents_for_organization
from core import clock
from developers.models import Developer
from web.portal.analytics.breakdown import AGENT, GROUPINGS
from web.portal.analytics.forms import AnalyticsForm
from web.portal.analytics.periods import PERIODS
from web.portal.analytics.report import Choice, make_report
from web.requests.access import developer_page


class Tab(NamedTuple):
    """A link to another state of the page."""

    label: Any
    query: str
    is_current: bool


@require_safe
@developer_page
def analytics(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = AnalyticsForm(request.GET, agents=agents_for_organization(developer.organization_id))
    choice = form.choice()
    context = {
        "form": form,
        "report": make_report(developer.organization_id, choice, clock.now()),
        "periods": [Tab(one.label, _query(choice, period=one.name), one == choice.period) for one in PERIODS],
        "groupings": _groupings(choice),
        "all_query": _query(choice, show="all"),
    }
    return render(request, "web/portal/analytics/analytics.html", context)


def _groupings(choice: Choice) -> Sequence[Tab]:
    groupings = [by for by in GROUPINGS if by is not AGENT or not choice.agent_id]
    return [Tab(by.label, _query(choice, by=by.name), by is choice.by) for by in groupings]


def _query(choice: Choice, **changes: str) -> str:
    """Return the query of the page with these changes. A long list is shown only where the user asked for it."""
    chosen = {"period": choice.period.name, "by": choice.by.name, "agent": choice.agent_id, **changes}
    return urlencode({name: value for name, value in chosen.items() if value})
