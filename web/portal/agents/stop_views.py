"""Suspend, reactivate and delete an agent."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from agents.deletion import delete_agent
from agents.models import Agent
from agents.selectors import agent_for_organization
from agents.services import update_agent
from core import clock
from core.http import SeeOther
from core.text import plain_text
from developers.impact import impact_on_agent
from developers.models import Developer
from developers.roles import Right
from web.forms.deleting import DeleteAgentForm
from web.portal.agents.forms import ReasonForm
from web.requests.access import developer_actor, developer_form, for_developers, posted_from
from web.requests.portal import portal_url


@developer_form(Right.DEVELOP)
def suspend(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent, form = agent_for_organization(developer.organization_id, agent_id), ReasonForm()
    if request.method == "POST":
        form = ReasonForm(request.POST)
        if form.is_valid():
            _set_status(request, developer, agent, Agent.Status.SUSPENDED, form.cleaned_data["reason"])
            messages.success(request, _("Suspended. All requests from this agent are now denied."))
            return SeeOther(_url(agent))
    context = {
        "agent": agent,
        "form": form,
        "impact": impact_on_agent(agent.id, clock.now()),
        "title": _("Suspend %(agent)s?") % {"agent": plain_text(agent.name)},
        "confirm_label": _("Suspend agent"),
        "back_url": _url(agent),
    }
    return render(request, "web/portal/agents/suspend.html", context, status=422 if form.is_bound else 200)


@for_developers(Right.DEVELOP)
@posted_from("portal:agent", "organization_id", "agent_id")
def reactivate(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    had = agent.redirect_uri_list
    if len(_set_status(request, developer, agent, Agent.Status.ACTIVE).redirect_uri_list) < len(had):
        text = _("Its redirect URIs from before the password reset were removed. Add those that are yours: %(uris)s")
        messages.warning(request, text % {"uris": " ".join(had)})
    if agent.is_stopped:
        messages.warning(
            request, _("Your suspension is lifted, but the agent is still stopped by an administrator of AgentGate.")
        )
    elif developer.organization.is_stopped:
        messages.warning(request, _("Your suspension is lifted, but all agents of your organization are stopped."))
    else:
        messages.success(request, _("Reactivated. Everything that users allowed and did not revoke works again."))
    return SeeOther(_url(agent))


@developer_form(Right.DEVELOP)
def delete(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    """Delete the agent once the developer has typed its name."""
    agent = agent_for_organization(developer.organization_id, agent_id)
    form = DeleteAgentForm(request.POST if request.method == "POST" else None, expected=agent.name)
    if form.is_valid():
        delete_agent(actor=developer_actor(request, developer), agent=agent)
        messages.success(request, _("Deleted. All requests from this agent are denied for good."))
        return SeeOther(portal_url(developer.organization_id, "agents"))
    context = {
        "agent": agent,
        "form": form,
        "impact": impact_on_agent(agent.id, clock.now()),
        "policies": agent.policies.count(),
        "users_url": portal_url(agent.organization_id, "agent-users", agent.id),
        "title": _("Delete %(agent)s?") % {"agent": plain_text(agent.name)},
        "confirm_label": _("Delete agent"),
        "back_url": _url(agent),
    }
    return render(request, "web/portal/agents/agent_delete.html", context, status=422 if form.is_bound else 200)


def _set_status(request: HttpRequest, developer: Developer, agent: Agent, status: str, reason: str = "") -> Agent:
    actor = developer_actor(request, developer)
    return update_agent(actor=actor, agent=agent, changes={"status": status}, reason=reason)


def _url(agent: Agent) -> str:
    return portal_url(agent.organization_id, "agent", agent.id)
