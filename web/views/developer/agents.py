"""The agents of the developer's organization."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Agent
from agents.selectors import agent_for_organization, agents_for_organization, live_secrets
from agents.services import register_agent, rotate_client_secret, update_agent
from core import clock
from core.errors import DomainError
from core.http import SeeOther
from core.text import plain_text
from developers.hits import hits_of_agent
from developers.models import Developer
from resources.catalogue import catalogue, describe_scopes
from web import once
from web.access import developer_actor, developer_page, posted_from
from web.forms.agents import AgentForm, ReasonForm, RotateForm
from web.paging import paginate

SCOPE_CHOICE = "<bdi>{}</bdi> <code>{}</code>"


@require_safe
@developer_page
def agents(request: HttpRequest, developer: Developer) -> HttpResponse:
    page = paginate(request, agents_for_organization(developer.organization_id))
    return render(request, "web/developer/agents.html", {"page": page})


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
        "secrets": live_secrets(agent),
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


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def rotate(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        new = rotate_client_secret(actor=developer_actor(request, developer), agent=agent, **form.cleaned_data)
        once.put(request, agent.id, new.value)
        return SeeOther(_url(agent))
    status = 422 if form.is_bound else 200
    return render(request, "web/developer/rotate.html", {"form": form, "agent": agent}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
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
        "hits": hits_of_agent(agent.id, clock.now()),
        "title": _("Suspend this agent?"),
        "confirm_label": _("Suspend agent"),
        "back_url": _url(agent),
    }
    return render(request, "web/developer/suspend.html", context, status=422 if form.is_bound else 200)


@developer_page
@posted_from("web:agent", "agent_id")
def reactivate(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    _set_status(request, developer, agent, Agent.Status.ACTIVE)
    if agent.is_stopped:
        messages.warning(request, _("Your suspension is lifted, but the agent is still stopped by an administrator."))
    else:
        messages.success(request, _("Reactivated. Everything that users allowed and did not revoke works again."))
    return SeeOther(_url(agent))


def _set_status(request: HttpRequest, developer: Developer, agent: Agent, status: str, reason: str = "") -> None:
    actor = developer_actor(request, developer)
    update_agent(actor=actor, agent=agent, changes={"status": status}, reason=reason)


def _edit_page(request: HttpRequest, form: AgentForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "web/developer/agent_edit.html", {"form": form, **context}, status=status)


def _scope_choices(agent: Agent | None = None) -> list[tuple[str, str]]:
    """Return the scopes of the catalogue and the agent's other scopes."""
    ids = [*catalogue(), *(agent.allowed_scopes if agent else [])]
    return [(scope.id, format_html(SCOPE_CHOICE, plain_text(scope.title), scope.id)) for scope in describe_scopes(ids)]


def _url(agent: Agent) -> str:
    return reverse("web:agent", args=[agent.id])
