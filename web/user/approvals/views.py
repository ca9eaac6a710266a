"""The lists of approvals: what waits for the user, what was allowed without asking, and what was decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from agents.models import Agent
from approvals.audiences import Services, services_by_approval
from approvals.history import details_of, read_history, standing_for_user
from approvals.models import Approval
from approvals.selectors import approvals_for_user, in_force, standing_among, waiting_targets, with_status
from approvals.services import deny_held
from core import clock
from core.formats import date_of
from core.http import SeeOther
from web.requests.access import for_users, posted_from, signed_in, user_actor, user_page
from web.requests.ids import ID
from web.requests.paging import paginate
from web.user.approvals.asked import Outline, outlines
from web.user.approvals.batches import batches_of, newest_held
from web.user.approvals.rules import accepted_rules, offered_rules

# The number of items per list on the first page, which links to the rest.
SHORT = 5
PAGE_SIZE = 20


@user_page
def approvals(request: HttpRequest) -> HttpResponse:
    """Show the start of each list, or one list page by page: `?show=waiting`, `?show=standing` or decided requests."""
    show = request.GET.get("show")
    if show == "waiting":
        return _show_waiting(request)
    if show == "standing":
        return _show_standing(request)
    now, user = clock.now(), signed_in(request)
    requests = approvals_for_user(user).filter(evidence__isnull=True)
    page = paginate(request, requests.exclude(in_force(now), status=Approval.Status.PENDING), PAGE_SIZE)
    context = _past(page.items, now) if page.cursor else _now(user, page.items, now)
    return render(
        request, "web/user/approvals/approvals.html", {**context, "page": page, "all_paused_at": user.agents_paused_at}
    )


@posted_from("web:approvals")
@for_users
def deny_batch(request: HttpRequest) -> HttpResponse:
    pauses = request.POST.get("then") == "pause"
    agent_id = request.POST.get("agent", "")
    number = deny_held(actor=user_actor(request), user=signed_in(request), agent_id=agent_id, pause_agent=pauses)
    text = ngettext("%(number)s request denied.", "%(number)s requests denied.", number) % {"number": number}
    if pauses and number:
        text = f"{text} {_('The agent is paused: all its requests are denied until you resume it under Connections.')}"
    messages.success(request, text)
    return SeeOther(reverse("web:approvals"))


def _past(decided: Sequence[Approval], now: datetime, services: Mapping[str, Services] | None = None) -> dict[str, Any]:
    return {"days": _by_day(outlines(decided, now, services))}


def _now(user: User, decided: Sequence[Approval], now: datetime) -> dict[str, Any]:
    """Return decided and pending requests, suggested rules, and what is allowed without asking."""
    targets, standing = waiting_targets(user, now), standing_for_user(user, now)
    rules, timed = ([one for one in standing if one.is_rule is wanted][:SHORT] for wanted in (True, False))
    shown, waiting = details_of(user, [*rules, *timed]), list(_waiting(user, now).filter(is_held=False)[:SHORT])
    held = newest_held(user, targets)
    services = services_by_approval([*decided, *waiting, *shown, *held])
    return {
        **_past(decided, now, services),
        "waiting": _by_agent(outlines(waiting, now, services)),
        "number_waiting": sum(target.number for target in targets),
        "has_more_waiting": sum(target.number for target in targets if not target.is_held) > len(waiting),
        "batches": batches_of(targets, outlines(held, now, services)),
        "offers": offered_rules(user, read_history(user, now), standing, now),
        "rules": accepted_rules([one for one in shown if one.is_rule], services),
        "timed": outlines((one for one in shown if not one.is_rule), now, services),
        "has_more_standing": len(standing) > len(shown),
    }


def _show_waiting(request: HttpRequest) -> HttpResponse:
    """Show all pending requests, including held ones, from all agents or from `?agent=`."""
    now, user = clock.now(), signed_in(request)
    rows, agent_id = _waiting(user, now), request.GET.get("agent", "")
    if ID.fullmatch(agent_id):
        rows = rows.filter(consent__agent=agent_id)
    page = paginate(request, rows, PAGE_SIZE)
    shown = outlines(page.items, now)
    agent = shown[0].approval.consent.agent if shown and agent_id else None
    context = {"page": page, "waiting": _by_agent(shown), "agent": agent}
    return render(request, "web/user/approvals/approvals_waiting.html", context)


def _show_standing(request: HttpRequest) -> HttpResponse:
    """Show everything that is allowed without asking."""
    now = clock.now()
    page = paginate(request, standing_among(approvals_for_user(signed_in(request)), now), PAGE_SIZE)
    services = services_by_approval(page.items)
    context = {
        "page": page,
        "rules": accepted_rules([one for one in page.items if one.is_rule], services),
        "timed": outlines((one for one in page.items if not one.is_rule), now, services),
    }
    return render(request, "web/user/approvals/approvals_standing.html", context)


def _waiting(user: User, now: datetime) -> QuerySet[Approval]:
    return with_status(approvals_for_user(user), Approval.Status.PENDING, now)


def _by_agent(waiting: Iterable[Outline]) -> list[tuple[Agent, list[Outline]]]:
    """Return the requests below the agents of their connections, in the order of each agent's first request."""
    found: dict[Agent, list[Outline]] = {}
    for asked in waiting:
        found.setdefault(asked.approval.consent.agent, []).append(asked)
    return list(found.items())


def _by_day(past: Iterable[Outline]) -> list[dict[str, Any]]:
    """Return the requests in groups, one per day in the user's zone."""
    groups = (list(group) for _day, group in groupby(past, key=lambda asked: date_of(asked.approval.created_at)))
    return [{"day": items[0].approval.created_at, "items": items} for items in groups]
