"""The agents of the developer's organization."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Agent
from agents.selectors import agent_for_organization, live_secrets, search_agents
from agents.services import register_agent, update_agent
from consent.selectors import count_connections
from core import clock
from core.errors import DomainError
from core.http import SeeOther
from core.text import plain_text
from developers.models import Developer
from insights.selectors import decisions_per_hour
from resources.catalogue import catalogue, describe_scopes
from web import once
from web.access import developer_actor, developer_page
from web.forms.agents import AgentFilterForm, AgentForm
from web.paging import paginate
from web.sparkline import Sparkline

SCOPE_CHOICE = "<bdi>{}</bdi> <code>{}</code>"


@require_safe
@developer_page
def agents(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the agents that `?q=` and `?status=` find."""
    form = AgentFilterForm(request.GET)
    page = paginate(request, search_agents(developer.organization_id, **form.wanted()))
    rows = _rows(developer.organization_id, page.items)
    context = {"form": form, "page": page, "rows": rows, "is_filtered": any(form.wanted().values())}
    return render(request, "web/developer/agents.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = AgentForm(request.POST if request.method == "POST" else None, scopes=_scope_choices())
    if form.is_valid():
        try:
            new = register_agent(
                actor=developer_actor(request, developer),
                organization=developer.organization,
                **form.cleaned_data,
            )
        except DomainError as error:
            form.show(error)
        else:
            once.put(request, new.agent.id, new.client_secret)
            return SeeOther(_url(new.agent))
    return _edit_page(request, form, {"title": _("New agent")})


@require_safe
@developer_page
def detail(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    context = {
        "agent": agent,
        "scopes": describe_scopes(agent.allowed_scopes),
        **_rows(developer.organization_id, [agent])[0],
        "secret_count": live_secrets(agent).count(),
        "secret": once.take(request, agent.id),
    }
    return render(request, "web/developer/agent.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def edit(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    form = AgentForm(
        request.POST if request.method == "POST" else None,
        scopes=_scope_choices(agent),
        initial={
            "name": agent.name,
            "description": agent.description,
            "redirect_uris": agent.redirect_uri_list,
            "allowed_scopes": agent.allowed_scopes,
        },
    )
    if form.is_valid():
        try:
            update_agent(actor=developer_actor(request, developer), agent=agent, changes=form.cleaned_data)
        except DomainError as error:
            form.show(error)
        else:
            messages.success(request, _("Saved."))
            return SeeOther(_url(agent))
    return _edit_page(request, form, {"title": _("Edit agent"), "agent": agent})


def _rows(organization_id: str, agents: Sequence[Agent]) -> list[dict[str, Any]]:
    """Return each agent with the number of its users and its decisions per hour."""
    ids, now = [agent.id for agent in agents], clock.now()
    users, decisions = count_connections(ids, now), decisions_per_hour(organization_id, ids, now)
    return [
        {"agent": agent, "users": users.get(agent.id, 0), "spark": Sparkline(decisions[agent.id])} for agent in agents
    ]


def _edit_page(request: HttpRequest, form: AgentForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "web/developer/agent_edit.html", {"form": form, **context}, status=status)


def _scope_choices(agent: Agent | None = None) -> list[tuple[str, str]]:
    """Return the scopes of the catalogue and the agent's other scopes."""
    ids = [*catalogue(), *(agent.allowed_scopes if agent else [])]
    return [(scope.id, format_html(SCOPE_CHOICE, plain_text(scope.title), scope.id)) for scope in describe_scopes(ids)]


def _url(agent: Agent) -> str:
    return reverse("web:agent", args=[agent.id])
