"""The portal's overview: first the steps of the first run, later figures and denials. Also the form to join."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from accounts.recent import time_of_sign_in
from agents.models import Agent
from agents.selectors import agent_for_organization, search_agents
from audit.events import Event, Outcome
from audit.readers.snapshot import take_snapshot
from audit.selectors import Filters, newest_for_organization, occurred_in_organization
from core.http import SeeOther
from developers.models import Developer
from developers.selectors import developer_for_user
from developers.services import join_as_developer
from web.portal.agents.forms import DeveloperForm
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.portal.overview.figures import attention, decided_in_a_day, figures_of
from web.portal.overview.quickstart.samples import LANGUAGES, sample
from web.portal.overview.quickstart.steps import EVENTS, LAST, stages
from web.requests import once
from web.requests.access import developer_page, enter_portal, signed_in, user_actor, user_form
from web.requests.kept_post import keeps_form, take_initial

DENIED = Filters(event=Event.TOKEN_VERIFY, outcome=Outcome.DENIED)
DENIALS, READ = 8, 40


@dataclass(slots=True)
class Repeated:
    """The newest of several denials that are alike, and how many of them were read."""

    row: LogRow
    number: int = 0


@user_form
@keeps_form
def overview(request: HttpRequest) -> HttpResponseBase:
    developer = developer_for_user(signed_in(request))
    return _join(request) if developer is None else enter_portal(request, developer, _show)


def _show(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the first run until the log has a verify request, and then figures and denials."""
    organization_id, log = developer.organization_id, take_snapshot()
    denied = newest_for_organization(log, organization_id, DENIED, READ)
    if not denied and LAST not in (occurred := occurred_in_organization(organization_id, EVENTS, journal=log.prepared)):
        agent = search_agents(organization_id, state=Agent.Status.ACTIVE).first()
        return render(
            request, "web/portal/overview/quickstart/first_run.html", _steps(request, developer, agent, occurred)
        )
    figures = figures_of(organization_id)
    context = {
        "organization": developer.organization,
        "figures": figures,
        "decided": decided_in_a_day(organization_id),
        "attention": list(attention(figures, is_verified=developer.organization.is_verified)),
        "denials": _group(read_rows(denied, OwnNames(organization_id, {})))[:DENIALS],
    }
    return render(request, "web/portal/overview/overview.html", context)


def _group(rows: Iterable[LogRow]) -> list[Repeated]:
    """Return the denials, newest first, each once for the same request, agent and cause."""
    found: dict[Any, Repeated] = {}
    for row in rows:
        alike = row.what, row.more, row.entry.agent_id, row.reason, row.policy_id, row.is_users_limit
        found.setdefault(alike, Repeated(row)).number += 1
    return list(found.values())


@developer_page
def quickstart(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    """Show the steps of the first run for one agent."""
    agent = agent_for_organization(developer.organization_id, agent_id)
    agent.organization = developer.organization  # saves a query
    occurred = occurred_in_organization(developer.organization_id, EVENTS, agent_id=agent.id)
    context = {**_steps(request, developer, agent, occurred), "of_agent": True}
    return render(request, "web/portal/overview/quickstart/page.html", context)


def _steps(
    request: HttpRequest, developer: Developer, agent: Agent | None, occurred: Collection[str]
) -> dict[str, Any]:
    """Return the context of the steps. The program uses the agent, if there is one."""
    language = request.GET.get("language", "")
    language = language if language in LANGUAGES else next(iter(LANGUAGES))
    listed = stages(occurred)
    return {
        "organization": developer.organization,
        "agent": agent,
        "stages": listed,
        "done": sum(stage.is_done for stage in listed),
        "languages": LANGUAGES.items(),
        "sample": sample(agent, language) if agent else None,
        "needs_credential": settings.VERIFY_REQUIRES_CREDENTIAL,
    }


def _join(request: HttpRequest) -> HttpResponse:
    initial = {"name": signed_in(request).name, **take_initial(request, DeveloperForm)}
    form = DeveloperForm(request.POST if request.method == "POST" else None, initial=initial)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "web/portal/overview/join.html", {"form": form}, status=status)
    new = join_as_developer(
        actor=user_actor(request),
        user=signed_in(request),
        name=form.cleaned_data["name"],
        signed_in_at=time_of_sign_in(request),
    )
    once.put(request, new.developer.id, new.api_key)
    return SeeOther(reverse("web:api-keys"))
