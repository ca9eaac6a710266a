"""The first page of the admin site: what is new, what stands out, and whether the server is well."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.models import User
from administration.areas import may_read
from administration.denials import count_denials, most_denied
from administration.health import signs_of_health
from administration.joined import AGENT_STATUS, Bounded, Figure, Joined, read_joined
from administration.vitals import overdue_rows
from agents.models import Agent
from audit.models import Entry
from audit.readers.snapshot import take_snapshot
from core import clock
from core.administration import list_url
from core.ids import lowest_id
from core.models import TaskRun
from developers.models import Organization

NEW_DAYS = 7
ASKING = Joined(
    model=Organization,
    heading=gettext_lazy("Asking to be verified"),
    where=Q(domain_claim__review_asked_at__isnull=False),
    filters={"domain_claim__review_asked_at__isempty": "0"},
    title="name",
    other="domain",
    other_label=gettext_lazy("Domain"),
    at="domain_claim__review_asked_at",
)
UNVERIFIED = Joined(
    model=Organization,
    heading=gettext_lazy("Developers not verified"),
    where=Q(is_verified=False),
    filters={"is_verified__exact": "0"},
    title="name",
)


SUSPENDED = Joined(
    model=Organization,
    heading=gettext_lazy("Suspended organizations"),
    where=Q(suspended_at__isnull=False),
    filters={"suspended_at__isempty": "0"},
    title="name",
    at="suspended_at",
)
_AGENTS = partial(
    Joined,
    model=Agent,
    title="name",
    other="organization__name",
    other_label=gettext_lazy("Organization"),
    status=AGENT_STATUS,
)
STOPPED = _AGENTS(
    heading=gettext_lazy("Stopped agents"),
    where=Q(stopped_at__isnull=False),
    filters={"stopped_at__isempty": "0"},
    at="stopped_at",
)


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page, with what the administrator may read."""
    wanted = [one for one in (_new_agents(), ASKING, UNVERIFIED, STOPPED, SUSPENDED) if may_read(request, one.model)]
    reads_log, is_operator = may_read(request, Entry), may_read(request, TaskRun)
    overdue = [Figure(kind, Bounded.of(rows), "") for kind, rows in overdue_rows().items()] if is_operator else []
    sections, figures = read_joined(wanted, overdue, User.objects.filter(pk=request.user.pk))
    return {
        "sections": sections,
        "denials": count_denials(take_snapshot(), clock.now()) if reads_log else None,
        "acts_url": list_url(Entry, actor="administrator") if reads_log else "",
        "health": signs_of_health({one.label: one.number for one in figures}) if is_operator else None,
    }


def _new_agents() -> Joined:
    """Return the agents of the last week. Ids begin with the time."""
    since = lowest_id("agt", clock.now() - timedelta(days=NEW_DAYS))
    filters = {"days": str(NEW_DAYS)}
    return _AGENTS(heading=gettext_lazy("New agents"), where=Q(pk__gte=since), filters=filters, at="created")


def denials(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page of the agents denied most."""
    log, now = take_snapshot(), clock.now()
    agents, sample = most_denied(request, log, now)
    return {"denials": count_denials(log, now, sample), "agents": agents, "sample": sample}
