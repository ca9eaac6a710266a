"""The portal's overview: first the steps of the first run, later figures and denials."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from agents.models import Agent
from agents.selectors import agent_for_organization, search_agents
from audit.events import Event, Outcome
from audit.readers.snapshot import take_snapshot
from audit.selectors import Filters, newest_for_organization, occurred_in_organization
from developers.models import Developer
from developers.roles import Right
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.portal.overview.figures import attention, decided_in_a_day, figures_of
from web.portal.overview.quickstart.samples import LANGUAGES, sample
from web.portal.overview.quickstart.steps import EVENTS, LAST, stages
from web.requests.access import developer_page

DENIED = Filters(event=Event.TOKEN_VERIFY, outcome=Outcome.DENIED)
DENIALS, READ = 8, 40


@dataclass(slots=True)
class Repeated:
    """The newest of several denials that are alike, and how many of them were read."""

    row: LogRow
    number: int = 0


@developer_page(Right.READ)
def overview(request: HttpRequest, developer: Developer) -> HttpResponse:
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
        "attention": list(attention(developer.organization, figures)),
        "denials": _group(read_rows(denied, OwnNames(organization_id, {})))[:DENIALS],
    }
    return render(request, "web/portal/overview/overview.html", context)


def _group(rows: Iterable[LogRow]) -> list[Repeated]:
    """Return the denials, newest first, each once for the same request, agent and cause."""
    found: dict[Any, Repeated] = {}
    for row in rows:
        alike = row.what, row.more, row.entry.agent_id, row.reason, row.policy_id, row.limited_by
        found.setdefault(alike, Repeated(row)).number += 1
    return list(found.values())


@developer_page(Right.READ)
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
