"""Delegations: what the organization's agents handed to others, and what was handed to them."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.models import Agent
from agents.selectors import agent_for_organization, agents_for_organization
from audit.events import Event
from audit.selectors import Filters, entries_for_organization
from core import clock
from core.http import SeeOther, page_after
from core.text import plain_text
from developers.models import Developer
from developers.roles import Right
from tokens.delegation_selectors import (
    State,
    count_below,
    delegation_for_organization,
    delegations_of_organization,
    is_below,
    read_states,
)
from tokens.delegations import end_delegation, live_delegations
from tokens.models import Delegation
from web.forms.agent_field import AgentField, AgentFieldForm
from web.portal.delegations.rows import DelegationRow
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.requests.access import developer_actor, developer_form, developer_page
from web.requests.paging import Page, read_cursor
from web.requests.portal import portal_url

ROWS = 25
# What depends on other rows is not in the query. So at most this many parts are read to fill a page.
MAX_PARTS = 5
GIVEN, RECEIVED = "given", "received"
SIDES = ((GIVEN, gettext_lazy("Handed over")), (RECEIVED, gettext_lazy("Received")))
ACTIVE, ENDED = "active", "ended"
STATES = (("", gettext_lazy("Any status")), (ACTIVE, gettext_lazy("Active")), (ENDED, gettext_lazy("Ended")))


class StatusForm(forms.Form):
    """The filters of one agent's delegations, which are in the URL."""

    status = forms.ChoiceField(
        label=gettext_lazy("Status"), choices=STATES, required=False, widget=forms.Select(attrs={"data-auto": True})
    )

    def wanted(self, name: str) -> Any:
        """Return the value of a filter, or None if it is empty or invalid."""
        self.is_valid()
        return self.cleaned_data.get(name) or None


class DelegationFilterForm(AgentFieldForm, StatusForm):
    """The same for an organization. `agent` is its own one on the side that is shown."""

    agent = AgentField(label=gettext_lazy("Agent"), placeholder=gettext_lazy("Name or ID"))
    field_order = ("agent", "status")


@developer_page(Right.READ)
def delegations(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = DelegationFilterForm(request.GET, agents=agents_for_organization(developer.organization_id))
    context = _listing(request, developer, form, form.wanted("agent"))
    return render(request, "web/portal/delegations/delegations.html", context)


@developer_page(Right.READ)
def of_agent(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    context = _listing(request, developer, StatusForm(request.GET), agent)
    return render(request, "web/portal/delegations/agent_delegations.html", context | {"agent": agent})


@developer_page(Right.READ)
def detail(request: HttpRequest, developer: Developer, delegation_id: str) -> HttpResponse:
    found = delegation_for_organization(developer.organization_id, delegation_id)
    row = _row(developer, found)
    context = {"row": row, "one": found, "ending": _ending(developer, found) if found.ended_at else None}
    return render(request, "web/portal/delegations/delegation.html", context)


@developer_form(Right.DEVELOP)
def end(request: HttpRequest, developer: Developer, delegation_id: str) -> HttpResponse:
    """End what an agent of the organization handed over, or what is below that."""
    found = delegation_for_organization(developer.organization_id, delegation_id)
    row, back = _row(developer, found), portal_url(developer.organization_id, "delegation", delegation_id)
    if not row.can_end:
        return SeeOther(back)
    if request.method == "POST":
        end_delegation(actor=developer_actor(request, developer), delegation=found)
        messages.success(request, _("Ended. Requests by it, and by all that was handed on from it, are now denied."))
        return SeeOther(back)
    context = {
        "row": row,
        "below": count_below(found, clock.now()),
        "title": _("End the delegation to %(agent)s?") % {"agent": plain_text(found.to_agent.name)},
        "confirm_label": _("End delegation"),
        "back_url": back,
    }
    return render(request, "web/portal/delegations/delegation_end.html", context)


def _listing(request: HttpRequest, developer: Developer, form: StatusForm, agent: Agent | None) -> dict[str, Any]:
    is_given, status = request.GET.get("side") != RECEIVED, form.wanted("status")
    rows = delegations_of_organization(
        developer.organization_id, is_given=is_given, agent_ids=[agent.id] if agent else None
    )
    now = clock.now()
    page = _read_page(request, rows if form.is_valid() else rows.none(), status, now)
    return {
        "form": form,
        "page": page,
        "rows": [DelegationRow(state, now, is_given, is_below=is_given) for state in page.items],
        "sides": SIDES,
        "side": GIVEN if is_given else RECEIVED,
        "is_filtered": bool(status or (agent and "agent" in form.fields)),
    }


def _read_page(request: HttpRequest, rows: QuerySet[Delegation], status: str | None, now: datetime) -> Page:
    """Return the page that `?cursor=` asks for, of states. With a status, it reads on until the page is full."""
    if status == ACTIVE:
        rows = rows.filter(pk__in=live_delegations(now).values("pk"))
    start = cursor = read_cursor(request)
    found: list[State] = []
    for _part in range(MAX_PARTS):
        items, cursor = page_after(rows, cursor, ROWS)
        found += [state for state in read_states(items, now) if not status or state.is_active == (status == ACTIVE)]
        if not cursor or len(found) >= ROWS:
            break
    return Page(found, start, cursor)


def _row(developer: Developer, found: Delegation) -> DelegationRow:
    now = clock.now()
    (state,) = read_states([found], now)
    is_given = found.from_agent.organization_id == developer.organization_id
    return DelegationRow(state, now, is_given, is_below(found, developer.organization_id))


def _ending(developer: Developer, found: Delegation) -> LogRow | None:
    """Return the entry that says who ended it, or None if the organization's log no longer has it."""
    wanted = Filters(event=Event.DELEGATION_ENDED, chain=found.pk)
    entries, _cursor = entries_for_organization(developer.organization_id, wanted).page("", ROWS)
    rows = read_rows(entries, OwnNames(developer.organization_id, {}))
    # The others are about what was below it.
    return next((row for row in rows if row.content["chain"][-1]["delegationId"] == found.pk), None)
