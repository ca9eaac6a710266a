"""What the pages of an organization, an agent and a person join to the row: what belongs to it, and its recent log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.models import SessionToken, User
from administration.areas import may_read
from administration.contents import withhold_contents
from administration.entry_page import EntryPage, read_entry_page
from administration.figures import DECIDED, figures_of
from administration.joined import AGENT_STATUS, Figure, Joined, Section, read_joined
from administration.log_lines import Line, recent_lines
from agents.models import Agent
from approvals.models import Approval
from audit.admin_lists import entry_of
from audit.models import Entry
from audit.readers.criteria import Criteria
from consent.models import Consent
from core.administration import is_superuser, list_url
from developers.models import Developer, Organization
from policies.models import Policy
from resources.models import ResourceServer
from tokens.models import TokenFamily

PERSON, CONSENTS, FAMILIES = gettext_lazy("Person"), gettext_lazy("Consents"), gettext_lazy("Token families")


@dataclass(frozen=True, slots=True)
class JoinedTo:
    """`log_url` is the list of all log entries about the row. It is empty if the administrator may not read the log.

    `acts_url` is the list of what the row did, if it is an administrator.
    """

    figures: list[Figure] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    log_url: str = ""
    acts_url: str = ""


def join(request: HttpRequest, row: Model) -> JoinedTo | EntryPage | None:
    """Return what belongs to the row, as far as the administrator may read it, or None for other models."""
    if isinstance(row, Entry):
        entry = entry_of(row) if is_superuser(request) else withhold_contents(entry_of(row))
        return read_entry_page(request, entry, list_url(Entry))
    found = JOINS.get(type(row))
    if found is None:
        return None
    wanted, criteria = found
    readable = [one for one in wanted(row) if may_read(request, one.model)]
    sections, figures = read_joined(readable, figures_of(request, row), type(row)._default_manager.filter(pk=row.pk))
    if not may_read(request, Entry):
        return JoinedTo(figures, sections)
    acts_url = list_url(Entry, actor=row.pk) if isinstance(row, User) and row.is_staff else ""
    lines = recent_lines(request, criteria(row))
    return JoinedTo(figures, sections, lines, list_url(Entry, q=row.pk), acts_url)


def read_figures(request: HttpRequest, row: Model) -> list[Figure]:
    """Return what belongs to the row now, in numbers, as far as the administrator may read it. Other models have none.

    Decisions are not among them: those of the last minute may not have been counted yet.
    """
    if type(row) not in JOINS:
        return []
    figures = [one for one in figures_of(request, row) if one.label not in DECIDED.values()]
    return read_joined([], figures, type(row)._default_manager.filter(pk=row.pk))[1]


def _of_organization(row: Organization) -> Iterator[Joined]:
    join = partial(Joined, where=Q(organization=row.pk), filters={"organization__id__exact": row.pk})
    yield join(model=Developer, heading=gettext_lazy("Members"), title="user__email")
    yield join(model=Agent, heading=gettext_lazy("Agents"), title="name", status=AGENT_STATUS, at="created")
    yield join(
        model=Consent,
        heading=CONSENTS,
        title="agent__name",
        other="user__email",
        other_label=PERSON,
        status="status",
    )
    yield join(model=Policy, heading=gettext_lazy("Policies"), title="name")
    yield join(
        model=ResourceServer,
        heading=gettext_lazy("Resource servers"),
        title="name",
        other="identifier",
        other_label=gettext_lazy("Identifier"),
    )
    yield _approvals(Q(agent__organization=row.pk), {"agent__organization__id__exact": row.pk})  # which an index finds


def _of_agent(row: Agent) -> Iterator[Joined]:
    of_it = Q(agent=row.pk)
    join = partial(Joined, where=of_it, filters={"agent__id__exact": row.pk})
    yield join(model=Consent, heading=CONSENTS, title="user__email", status="status")
    yield Joined(
        model=TokenFamily,
        heading=FAMILIES,
        where=Q(application=row.pk),
        filters={"application__id__exact": row.pk},
        title="user__email",
    )
    yield join(model=Policy, heading=gettext_lazy("Policies for this agent"), title="name")
    yield _approvals(of_it, {"agent__id__exact": row.pk}, title="user__email")


def _of_person(row: User) -> Iterator[Joined]:
    of_it = Q(user=row.pk)
    join = partial(Joined, where=of_it, filters={"user__id__exact": row.pk})
    yield join(model=Consent, heading=CONSENTS, title="agent__name", status="status")
    yield join(model=TokenFamily, heading=FAMILIES, title="application__name")
    yield _approvals(of_it, {"user__id__exact": row.pk})
    yield join(model=Developer, heading=gettext_lazy("Member of"), title="organization__name")
    yield join(model=SessionToken, heading=gettext_lazy("API sessions"), title="user_agent")
    yield join(model=EmailAddress, heading=gettext_lazy("Email addresses"), title="email", at="")
    yield Joined(model=Group, heading=gettext_lazy("Roles"), where=of_it, title="name", at="")


def _approvals(where: Q, filters: dict[str, str], title: str = "agent__name") -> Joined:
    return Joined(
        model=Approval, heading=gettext_lazy("Approvals"), where=where, filters=filters, title=title, status="status"
    )


JOINS: dict[Any, tuple[Callable[[Any], Iterator[Joined]], Callable[[Any], Criteria]]] = {
    Organization: (_of_organization, lambda row: Criteria(organization_id=row.pk)),
    Agent: (_of_agent, lambda row: Criteria(agent_id=row.pk)),
    User: (_of_person, lambda row: Criteria(user_id=row.pk)),
}
