"""The first page of the admin site: what is new, what stands out, and whether the server is well."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from agentgate.desk.areas import may_read
from agentgate.desk.denials import count_denials, most_denied
from agentgate.desk.health import signs_of_health
from agentgate.desk.joined import AGENT_STATUS, Joined, read_joined
from agents.models import Agent
from audit.models import Entry
from audit.readers.snapshot import take_snapshot
from core.models import TaskRun
from developers.models import Organization

NEW_AGENTS = Joined(
    model=Agent,
    heading=gettext_lazy("New agents"),
    where=Q(),
    filters={"days": "7"},
    title="name",
    other="organization__name",
    other_label=gettext_lazy("Organization"),
    status=AGENT_STATUS,
    at="created",
)
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


def overview(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page, with what the administrator may read."""
    wanted = [one for one in (NEW_AGENTS, ASKING, UNVERIFIED) if may_read(request, one.model)]
    reads_log, is_operator = may_read(request, Entry), may_read(request, TaskRun)
    log = take_snapshot() if reads_log or is_operator else None
    return {
        "sections": read_joined(wanted)[0],
        "denials": count_denials(log) if log and reads_log else None,
        "health": signs_of_health(log) if log and is_operator else None,
    }


def denials(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page of the agents denied most."""
    log = take_snapshot()
    agents, sample = most_denied(log)
    return {"denials": count_denials(log, sample), "agents": agents, "sample": sample}
