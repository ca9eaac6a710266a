"""The first page of the admin site: what is new, and what stands out."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
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
from core.formats import number
from core.ids import lowest_id
from core.models import TaskRun
from developers.models import Organization

NEW_DAYS = 7
_AGENTS = partial(Joined, model=Agent, title="name", other="organization__name", status=AGENT_STATUS)
_ORGANIZATIONS = partial(Joined, model=Organization, title="name")
# What waits for an administrator.
TO_REVIEW = (
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


class Other(NamedTuple):
    """A further list, and its number in words."""

    label: Any
    url: str
    words: str
    is_bad: bool = False


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page, with what the administrator may read."""
    reads_log = may_read(request, Entry)
    waiting = sum(may_read(request, one.model) for one in TO_REVIEW)
    sections = read_sections(request, (*TO_REVIEW, _new_agents(), *OTHERS))[0]
    return {
        "to_review": sections[:waiting],
        "sections": [one for one in sections if one.rows],
        "denials": count_denials(take_snapshot(), clock.now()) if reads_log else None,
        "others": [*(_of_log() if reads_log else ()), *(_of_tasks() if may_read(request, TaskRun) else ())],
    }


def _of_log() -> Iterator[Other]:
    """Yield lists of the log, without their numbers: to count them takes as long as to open them."""
    for label, filters in (
        (
            gettext_lazy("Activity that users reported as not theirs"),
            {"event__exact": Event.USER_ACTIVITY_DISPUTED.value},
        ),
        (gettext_lazy("What administrators did"), {"actor": "administrator"}),
    ):
        words = _("Last %(days)d days") % {"days": NEW_DAYS}
        yield Other(label, list_url(Entry, **filters, days=str(NEW_DAYS)), words)


def _of_tasks() -> Iterator[Other]:
    failed = TaskRun.objects.exclude(error="").count()
    words = _("%(number)s failed") % {"number": number(failed)} if failed else _("None failed")
    yield Other(gettext_lazy("When background tasks last ran"), list_url(TaskRun), words, is_bad=failed > 0)


def _new_agents() -> Joined:
    """Return the agents of the last week that are not stopped. Ids begin with the time."""
    since = lowest_id("agt", clock.now() - timedelta(days=NEW_DAYS))
    where = Q(pk__gte=since, stopped_at__isnull=True)
    filters = {"days": str(NEW_DAYS), "stopped_at__isempty": "1"}
    return _AGENTS(heading=gettext_lazy("New agents"), where=where, filters=filters, at="created")
