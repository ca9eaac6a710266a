"""The agents of the developer's organization."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.errors import ReauthenticationRequired
from agents.logos import logo_source
from agents.models import Agent
from agents.selectors import agent_for_organization, live_secrets, search_agents
from agents.services import register_agent, throttle_agents
from agents.settings import save_settings
from consent.selectors import count_connections
from core import clock
from core.errors import DomainError
from core.http import SeeOther
from developers.models import Developer
from developers.roles import Right
from insights.selectors import decisions_per_hour
from insights.windows import last_24_hours
from policies.refusals import refused_scopes
from policies.selectors import policies_in_force
from resources.catalogue import describe_scopes
from web.portal.agents.forms import SEARCH, AgentFilterForm, AgentForm, AgentSettingsForm
from web.portal.agents.preview import preview
from web.portal.agents.scope_picker import MAX_SEARCH, offered_scopes
from web.portal.analytics.charts import Sparkline
from web.portal.analytics.links import DECISIONS, rows_url
from web.requests import once
from web.requests.access import developer_actor, developer_form, developer_page
from web.requests.kept_post import take_form
from web.requests.paging import paginate
from web.requests.portal import portal_url


@developer_page(Right.READ)
def agents(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the agents that `?q=` and `?status=` find."""
    form = AgentFilterForm(request.GET)
    found = search_agents(developer.organization_id, **form.wanted())
    if not form.is_valid():
        found = found.none()
    page = paginate(request, found)
    rows = _rows(developer.organization_id, page.items)
    context = {
        "form": form,
        "page": page,
        "rows": rows,
        "total": found.count(),
        "is_filtered": any(form.wanted().values()),
    }
    return render(request, "web/portal/agents/agents.html", context)


@developer_form(Right.DEVELOP)
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Register an agent or, with the "preview" button, show what users would see."""
    form = _form(request, developer, None, initial={})
    if form.is_valid():
        throttle_agents(developer.organization_id)
        try:
            new = register_agent(
                actor=developer_actor(request, developer),
                organization=developer.organization,
                **form.cleaned_data,
            )
        except ReauthenticationRequired:
            raise
        except DomainError as error:
            form.show(error)
        else:
            once.put(request, new.agent.id, new.client_secret)
            return SeeOther(_url(new.agent))
    return _edit_page(request, developer, form, "web/portal/agents/agent_new.html", {})


@developer_page(Right.READ)
def detail(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    scopes = describe_scopes(agent.allowed_scopes)
    context = {
        "agent": agent,
        "scopes": scopes,
        "siblings": scopes,
        **_rows(developer.organization_id, [agent])[0],
        "secret_count": live_secrets(agent).count(),
        "secret": once.take(request, agent.id),
    }
    return render(request, "web/portal/agents/agent.html", context)


@developer_form(Right.DEVELOP)
def edit(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    initial = {
        "name": agent.name,
        "description": agent.description,
        "redirect_uris": agent.redirect_uri_list,
        "allowed_scopes": agent.allowed_scopes,
        "homepage_url": agent.homepage_url,
        "privacy_url": agent.privacy_url,
        "logo_url": logo_source(agent),
    }
    form = _form(request, developer, agent, initial=initial, form_class=AgentSettingsForm)
    if form.is_valid():
        changes, actor = {**form.cleaned_data}, developer_actor(request, developer)
        logo = {"logo_url": changes.pop("logo_url"), "fetches_again": changes.pop("fetch_again")}
        try:
            save_settings(actor=actor, agent=agent, changes=changes, **logo)
        except ReauthenticationRequired:
            raise
        except DomainError as error:
            form.show(error)
        else:
            messages.success(request, _("Saved."))
            return SeeOther(_url(agent))
    return _edit_page(request, developer, form, "web/portal/agents/agent_edit.html", {"agent": agent})


def _rows(organization_id: str, agents: Sequence[Agent]) -> list[dict[str, Any]]:
    """Return each agent with its number of users, its decisions per hour, and their URL in the log."""
    ids, now = [agent.id for agent in agents], clock.now()
    users, decisions = count_connections(ids, now), decisions_per_hour(organization_id, ids, now)
    return [
        {
            "agent": agent,
            "client_id": f"{agent.client_id[:8]}…{agent.client_id[-4:]}",
            "users": users.get(agent.id, 0),
            "spark": Sparkline(decisions[agent.id]),
            "decisions_url": rows_url(organization_id, last_24_hours(now), {"agent": agent.id, **DECISIONS}),
        }
        for agent in agents
    ]


def _form(
    request: HttpRequest,
    developer: Developer,
    agent: Agent | None,
    *,
    initial: dict[str, Any],
    form_class: type[AgentForm] = AgentForm,
) -> AgentForm:
    organization_id = developer.organization_id
    scopes = offered_scopes(organization_id, agent.allowed_scopes if agent else ())
    in_force = policies_in_force(organization_id, agent.id if agent else "")
    known: dict[str, Any] = {"scopes": scopes, "refused": refused_scopes(in_force, [scope.id for scope in scopes])}
    if request.method != "POST":
        kept = take_form(request)
        return form_class.from_draft(kept, **known) if kept else form_class(initial=initial, **known)
    is_preview = "preview" in request.POST
    return form_class.from_draft(request.POST, **known) if is_preview else form_class(request.POST, **known)


def _edit_page(
    request: HttpRequest, developer: Developer, form: AgentForm, template: str, context: dict[str, Any]
) -> HttpResponse:
    screen = preview(developer.organization, form.draft, context.get("agent"))
    search = request.POST.get(SEARCH, "")[:MAX_SEARCH]
    return render(
        request,
        template,
        {"form": form, "screen": screen, "search": search, **context},
        status=422 if form.is_bound else 200,
    )


def _url(agent: Agent) -> str:
    return portal_url(agent.organization_id, "agent", agent.id)
