"""The analytics: what agents and services did over time, and what users answered."""

from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from agents.selectors import agents_for_organization
from core import clock
from developers.models import Developer
from developers.roles import Right
from insights.selectors import has_history
from web.forms.agent_field import AgentField, AgentFieldForm
from web.portal.analytics.periods import DAY_ALONE, DEFAULT, PERIODS, find_period
from web.portal.analytics.report import make_report
from web.requests.access import developer_page


class AnalyticsForm(AgentFieldForm):
    agent = AgentField(label=_("Agent"), placeholder=_("All agents"))
    period = forms.CharField(required=False, widget=forms.HiddenInput)


@developer_page(Right.READ)
def analytics(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the analytics. An invalid field is not applied, and the page shows its error."""
    form = AnalyticsForm(request.GET, agents=agents_for_organization(developer.organization_id))
    form.is_valid()
    agent, now, organization_id = form.cleaned_data.get("agent"), clock.now(), developer.organization_id
    period = find_period(form.cleaned_data.get("period", ""))
    if period is None:  # a week would be empty except for its end
        period = DEFAULT if has_history(organization_id, now) else DAY_ALONE
    agent_id = agent.id if agent else ""
    if agent:  # the field then shows the name, too
        form.data = {**dict(form.data.items()), "agent": form.fields["agent"].prepare_value(agent)}
    tabs = [(one.label, urlencode({"period": one.name, "agent": agent_id}), one == period) for one in PERIODS]
    report = make_report(organization_id, period, agent_id, now)
    return render(request, "web/portal/analytics/analytics.html", {"form": form, "report": report, "periods": tabs})
