"""The figures of the portal's overview, and what needs the developer's attention."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.models import Agent, ClientSecret
from agents.selectors import agents_for_organization
from audit.events import Outcome
from core import clock
from core.formats import relative
from core.text import plain_text
from developers.models import Organization
from insights.models import Kind
from insights.selectors import decisions_by_outcome, series
from insights.windows import last_24_hours
from policies.models import Policy
from policies.selectors import policies_for_organization
from web.portal.analytics.charts import Plot, stacked_bars
from web.portal.analytics.links import ALLOWED, DECISIONS, DENIED, rows_url
from web.portal.analytics.periods import short_step_name
from web.requests.portal import portal_url

SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Expiring:
    """The client secrets that stop working soon: their number, and the first one."""

    number: int
    agent_id: str
    agent_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """The agents that administrators stopped: their number, and the last one."""

    number: int
    agent_id: str
    agent_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """The number of rows of each kind that an organization has. `recording` are policies that deny nothing yet.

    `proved_at` is when it proved its domain, and `asked_at` when it asked to be verified.
    """

    agents: int
    suspended: int
    stopped: Stopped | None
    policies: int
    recording: int
    expiring: Expiring | None
    proved_at: datetime | None
    asked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of the last 24 hours that have been counted, and the URLs of their log entries."""

    allowed: int
    denied: int
    allowed_url: str
    denied_url: str
    plot: Plot | None
    axis: Sequence[str]


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs attention, with the rows behind it."""

    words: str
    url: str


def figures_of(organization_id: str) -> Figures:
    """Read all figures in one query."""
    of_agents, of_policies = agents_for_organization(organization_id), policies_for_organization(organization_id)
    secrets, stopped = _expiring(organization_id), of_agents.filter(stopped_at__isnull=False)
    counts = (
        of_agents,
        of_agents.filter(status=Agent.Status.SUSPENDED, stopped_at=None),
        stopped,
        of_policies,
        of_policies.filter(enabled=True, mode=Policy.Mode.SHADOW),
    )
    columns: list[str | Subquery] = [
        *map(_count, counts),
        _count(secrets, "agent__organization_id"),
        *(Subquery(secrets.values(name)[:1]) for name in ("agent_id", "agent__name", "expires_at")),
        *(Subquery(stopped.order_by("-stopped_at").values(name)[:1]) for name in ("pk", "name", "stopped_at")),
        "domain_claim__proved_at",
        "domain_claim__review_asked_at",
    ]
    found = Organization.objects.filter(pk=organization_id).values_list(*columns)[0]
    agents, suspended, halted, policies, recording, number = (one or 0 for one in found[: len(counts) + 1])
    *named, proved_at, asked_at = found[len(counts) + 1 :]
    expiring = Expiring(number, *named[:3]) if number else None
    last = Stopped(halted, *named[3:]) if halted else None
    return Figures(agents, suspended, last, policies, recording, expiring, proved_at, asked_at)


def decided_in_a_day(organization_id: str) -> Decided:
    """Return the decisions of the current hour and the 23 before it."""
    window = last_24_hours(clock.now())
    found = decisions_by_outcome(organization_id, window)
    allowed, denied = (rows_url(organization_id, window, {**DECISIONS, **outcome}) for outcome in (ALLOWED, DENIED))
    starts, in_steps = window.starts(), series(organization_id, [Kind.DECISION], window)[Kind.DECISION]
    bars = [in_steps.get(outcome, [0] * len(starts)) for outcome in (Outcome.ALLOWED, Outcome.DENIED)]
    return Decided(
        allowed=found.get(Outcome.ALLOWED, 0),
        denied=found.get(Outcome.DENIED, 0),
        allowed_url=allowed,
        denied_url=denied,
        plot=stacked_bars(bars) if in_steps else None,
        axis=[short_step_name(starts[place], window.step) for place in (0, len(starts) // 2, -1)],
    )


def attention(organization: Organization, figures: Figures) -> Iterator[Attention]:
    """Yield what needs attention, the most urgent first."""
    agents, is_verified = portal_url(organization.id, "agents"), organization.is_verified
    if (stopped := figures.stopped) and stopped.number == 1:
        words = _("%(agent)s was stopped by an administrator of AgentGate %(ago)s.")
        named = {"agent": plain_text(stopped.agent_name), "ago": relative(stopped.at)}
        yield Attention(words % named, portal_url(organization.id, "agent", stopped.agent_id))
    elif stopped:
        words = _("%(number)d agents were stopped by an administrator of AgentGate, the last one %(ago)s.")
        yield Attention(words % {"number": stopped.number, "ago": relative(stopped.at)}, f"{agents}?status=stopped")
    if number := figures.suspended:
        words = ngettext(
            "%(number)d agent is suspended: all its requests are denied.",
            "%(number)d agents are suspended: all their requests are denied.",
            number,
        )
        yield Attention(words % {"number": number}, f"{agents}?status=suspended")
    if number := figures.recording:
        words = ngettext(
            "%(number)d policy only records what it would deny.",
            "%(number)d policies only record what they would deny.",
            number,
        )
        yield Attention(words % {"number": number}, portal_url(organization.id, "policies", query={"status": "shadow"}))
    if not is_verified:
        yield Attention(_not_verified(figures), portal_url(organization.id, "domain"))


def _not_verified(figures: Figures) -> str:
    """Return what an organization that is not verified can do about it."""
    if figures.asked_at:
        return _(
            "Consent screens warn users that your organization is not verified. An administrator of AgentGate decides."
        )
    if figures.proved_at:
        return _("Consent screens warn users that your organization is not verified. Ask to be verified.")
    return _("Consent screens warn users that your organization is not verified. Prove a domain.")


def _expiring(organization_id: str) -> QuerySet[ClientSecret]:
    """Return the client secrets that stop working soon, the earliest first."""
    now = clock.now()
    rows = ClientSecret.objects.filter(agent__organization_id=organization_id, agent__deleted_at=None)
    return rows.filter(expires_at__gt=now, expires_at__lt=now + SOON).order_by("expires_at")


def _count(rows: QuerySet[Any], group: str = "organization_id") -> Subquery:
    return Subquery(rows.order_by().values(group).annotate(number=Count("pk")).values("number"))
