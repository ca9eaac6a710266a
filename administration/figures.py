"""The numbers on the pages of an organization, an agent and a person. Each links to the list of what it counts."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Q, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.models import User
from administration.areas import may_read
from administration.denials import SHOWN_DENIED
from administration.joined import Bounded, Figure
from agents.models import Agent
from approvals.models import Approval
from audit.events import Event, Outcome
from audit.models import Entry
from consent.models import Consent
from core import clock
from core.administration import list_url
from developers.models import Organization
from insights.selectors import count_decisions, count_denials
from insights.windows import last_24_hours

LIVE_CONSENTS, OPEN_APPROVALS = gettext_lazy("Live consents"), gettext_lazy("Open approvals")
STOPPED_AGENTS = gettext_lazy("Stopped agents")
DECIDED = {
    Outcome.ALLOWED: gettext_lazy("Allowed in 24 hours"),
    Outcome.DENIED: gettext_lazy("Denied in 24 hours"),
}


def figures_of(request: HttpRequest, row: Any) -> list[Figure]:
    """Return the numbers about this row that the administrator may read, not yet counted."""
    return list(FIGURES[type(row)](request, row))


def _of_organization(request: HttpRequest, row: Organization) -> Iterator[Figure]:
    of_it = {"organization__id__exact": row.pk}
    if may_read(request, Agent):
        stopped = Agent.objects.filter(organization=row, stopped_at__isnull=False)
        yield Figure(STOPPED_AGENTS, Bounded.of(stopped), list_url(Agent, **of_it, stopped_at__isempty="0"))
    yield from _of_connections(
        request,
        Q(organization=row.pk),
        Q(agent__organization=row.pk),
        of_it,
        {"agent__organization__id__exact": row.pk},
    )
    yield from _of_decisions(request, row.pk, row.pk)


def _of_agent(request: HttpRequest, row: Agent) -> Iterator[Figure]:
    of_it = {"agent__id__exact": row.pk}
    yield from _of_connections(request, Q(agent=row.pk), Q(agent=row.pk), of_it, of_it)
    if row.organization_id:  # stock clients have none, and are counted with those that use them
        yield from _of_decisions(request, row.pk, row.organization_id, row.pk)


def _of_person(request: HttpRequest, row: User) -> Iterator[Figure]:
    of_it = {"user__id__exact": row.pk}
    yield from _of_connections(request, Q(user=row.pk), Q(user=row.pk), of_it, of_it)


def _of_connections(
    request: HttpRequest, consents: Q, approvals: Q, of_consents: dict[str, str], of_approvals: dict[str, str]
) -> Iterator[Figure]:
    if not may_read(request, Consent):
        return
    live, waiting = Consent.Status.APPROVED.value, Approval.Status.PENDING.value
    live_rows = Consent.objects.filter(consents, status=live)
    yield Figure(LIVE_CONSENTS, Bounded.of(live_rows), list_url(Consent, **of_consents, status__exact=live))
    open_rows = Approval.objects.filter(approvals, status=waiting)
    yield Figure(OPEN_APPROVALS, Bounded.of(open_rows), list_url(Approval, **of_approvals, status__exact=waiting))


def _of_decisions(request: HttpRequest, pk: str, organization_id: str, agent_id: str | None = None) -> Iterator[Figure]:
    """Yield the decisions of the hour now and the 23 before, as far as the log is counted."""
    if not may_read(request, Entry):
        return
    window = last_24_hours(clock.now())
    ends = {"from": window.since.isoformat(), "to": window.until.isoformat()}
    allowed = count_decisions(organization_id, Outcome.ALLOWED, window, agent_id=agent_id)
    denied = count_denials(organization_id, window, agent_id=agent_id)
    shown = {"event__exact": Event.TOKEN_VERIFY.value, "outcome__exact": Outcome.ALLOWED.value}
    yield Figure(DECIDED[Outcome.ALLOWED], Subquery(allowed), list_url(Entry, q=pk, **shown, **ends))
    yield Figure(DECIDED[Outcome.DENIED], Subquery(denied), list_url(Entry, q=pk, **SHOWN_DENIED, **ends))


FIGURES: dict[Any, Callable[[HttpRequest, Any], Iterator[Figure]]] = {
    Organization: _of_organization,
    Agent: _of_agent,
    User: _of_person,
}
