"""The first page of the admin site: what is new, and what stands out."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from administration.areas import may_read
from administration.denials import count_denials
from administration.joined import AGENT_STATUS, Joined, read_sections
from administration.links import list_url
from agents.models import Agent
from audit.events import Event
from audit.models import Entry
from audit.readers.snapshot import take_snapshot
from core import clock
from core.ids import lowest_id
from core.models import TaskRun
from developers.models import Organization

NEW_DAYS = 7
_AGENTS = partial(Joined, model=Agent, title="name", other="organization__name", status=AGENT_STATUS)
_ORGANIZATIONS = partial(Joined, model=Organization, title="name")
# What waits for an administrator.
TO_DECIDE = (
    _AGENTS(
        heading=gettext_lazy("Reported agents"),
        where=Q(reported__isnull=False),
        filters={"reported": "1"},
        at="reported__reported_at",
    ),
    _ORGANIZATIONS(
        heading=gettext_lazy("Asking to be verified"),
        where=Q(domain_claim__review_asked_at__isnull=False),
        filters={"domain_claim__review_asked_at__isempty": "0"},
        other="domain",
        at="domain_claim__review_asked_at",
    ),
)
OTHERS = (
    _ORGANIZATIONS(
        heading=gettext_lazy("Developers not verified"),
        where=Q(is_verified=False),
        filters={"is_verified__exact": "0"},
    ),
    _AGENTS(
        heading=gettext_lazy("Stopped agents"),
        where=Q(stopped_at__isnull=False),
        filters={"stopped_at__isempty": "0"},
        at="stopped_at",
    ),
    _ORGANIZATIONS(
        heading=gettext_lazy("Suspended organizations"),
        where=Q(suspended_at__isnull=False),
        filters={"suspended_at__isempty": "0"},
        at="suspended_at",
    ),
)


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page, with what the administrator may read."""
    reads_log = may_read(request, Entry)
    return {
        "sections": read_sections(request, (*TO_DECIDE, _new_agents(), *OTHERS))[0],
        "denials": count_denials(take_snapshot(), clock.now()) if reads_log else None,
        "acts_url": list_url(Entry, actor="administrator") if reads_log else "",
        "disputes_url": list_url(Entry, event__exact=Event.USER_ACTIVITY_DISPUTED.value) if reads_log else "",
        "tasks_url": list_url(TaskRun) if may_read(request, TaskRun) else "",
    }


def _new_agents() -> Joined:
    """Return the agents of the last week. Ids begin with the time."""
    since = lowest_id("agt", clock.now() - timedelta(days=NEW_DAYS))
    filters = {"days": str(NEW_DAYS)}
    return _AGENTS(heading=gettext_lazy("New agents"), where=Q(pk__gte=since), filters=filters, at="created")
