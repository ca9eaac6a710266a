"""The pages of an organization, an agent and a person: their numbers, what belongs to them, and their recent log."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    F,
    Func,
    IntegerField,
    Model,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.models import SessionToken, User
from administration.areas import may_read
from administration.denials import SHOWN_DENIED
from administration.links import list_url, row_url
from administration.lists import MAX_COUNT
from administration.log_lines import Line, recent_lines
from agents.models import Agent
from approvals.models import Approval
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from consent.models import Consent
from core import clock
from core.formats import number as localized
from core.text import plain_text
from developers.models import Developer, Organization
from insights.selectors import count_decisions, count_denials
from insights.windows import last_24_hours
from policies.models import Policy
from resources.models import ResourceServer
from tokens.models import TokenFamily

SHOWN = 5
# The stop of an administrator is a second fact beside the status that the developer chooses.
AGENT_STATUS = Case(
    When(deleted_at__isnull=False, then=Value("deleted")),
    When(stopped_at__isnull=False, then=Value("stopped")),
    default=F("status"),
)
# The role of a member, unless the membership has ended.
MEMBERSHIP = Case(When(ended_at__isnull=False, then=Value("ended")), default=F("role"))
NO_TEXT = Value("", output_field=CharField())
NEVER = Value(None, output_field=DateTimeField())
KINDS: Mapping[type[Model], str] = {Organization: "organization", Agent: "agent", User: "user"}
UNNAMED = gettext_lazy("Unnamed")
CONSENTS, FAMILIES = gettext_lazy("Consents"), gettext_lazy("Token families")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Rows of a model to join. `title`, `other` and `status` are lookups or expressions of texts.

    `at` is the lookup of the time to show. It is empty for rows without one. `filters` are the same for the list of all
    of them; a model without a list has none. `untitled` stands for an empty title.
    """

    model: Any
    heading: Any
    where: Q
    filters: Mapping[str, str] = field(default_factory=dict)
    title: str
    other: str = ""
    status: Any = ""
    at: str = "created_at"
    untitled: Any = UNNAMED


class Row(NamedTuple):
    url: str
    title: str
    other: str
    status: str
    at: datetime | None


class Section(NamedTuple):
    """The newest rows, and how many there are: at most `SHOWN`, or more."""

    heading: Any
    rows: Sequence[Row]
    number: str
    all_url: str
    untitled: Any

    @property
    def has_more(self) -> bool:
        return not self.number.isdecimal()


class Figure(NamedTuple):
    """A number about a row, and the list of what it counts. `number` is an expression until it is read."""

    name: str
    label: Any
    number: Any
    url: str

    @property
    def words(self) -> str:
        return in_words(self.number)


@dataclass(frozen=True, slots=True)
class JoinedTo:
    """`log_url` is the list of all log entries about the row. It is empty if the administrator may not read the log.

    `acts_url` is the list of what the row did, if it is an administrator. `kind` is that of the row: `lines` need not
    repeat it.
    """

    figures: list[Figure] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    log_url: str = ""
    acts_url: str = ""
    kind: str = ""


def in_words(number: int) -> str:
    """Return the number, or that there are more than lists count."""
    return f"{localized(min(number, MAX_COUNT))}{'+' if number > MAX_COUNT else ''}"


class Bounded(Func):
    """Counts the rows of a subquery, up to one more than lists count."""

    template = "(SELECT COUNT(*) FROM %(expressions)s counted)"
    output_field = IntegerField()

    @classmethod
    def of(cls, rows: QuerySet[Any]) -> "Bounded":
        return cls(Subquery(rows.order_by().values_list(Value(1))[: MAX_COUNT + 1]))


def read_sections(
    request: HttpRequest, joined: Iterable[Joined], figures: Sequence[Figure] = (), row: Any = None
) -> tuple[list[Section], list[Figure]]:
    """Return the newest rows of each model that may be read, and the figures about `row`, by one query."""
    wanted = [one for one in joined if may_read(request, one.model)]
    queries = [_query(place, one) for place, one in enumerate(wanted)]
    queries += [_number(place, one, row) for place, one in enumerate(figures, len(wanted))]
    found = list(queries[0].union(*queries[1:], all=True).order_by()) if queries else []
    parts = [[each for each in found if each[0] == place] for place in range(len(queries))]
    sections = [_section(one, part) for one, part in zip(wanted, parts, strict=False)]
    return sections, [one._replace(number=part[0][-1]) for one, part in zip(figures, parts[len(wanted) :], strict=True)]


def join(request: HttpRequest, row: Model) -> JoinedTo | None:
    """Return what belongs to the row, without what the administrator may not read. None for other models."""
    if type(row) not in KINDS:
        return None
    wanted = [*_figures(request, row), *_decisions(request, row)]
    sections, figures = read_sections(request, SECTIONS[type(row)](row), wanted, row)
    if not may_read(request, Entry):
        return JoinedTo(figures, sections)
    acts_url = list_url(Entry, actor=row.pk) if isinstance(row, User) and row.is_staff else ""
    lines = recent_lines(request, Criteria(**{f"{KINDS[type(row)]}_id": row.pk}))
    return JoinedTo(figures, sections, lines, list_url(Entry, q=row.pk), acts_url, KINDS[type(row)])


def figures_of(request: HttpRequest, row: Model) -> list[Figure]:
    """Return what belongs to the row now, in numbers. Rows of other models have none.

    Decisions are not among them: those of the last minute may not have been counted yet.
    """
    return read_sections(request, [], list(_figures(request, row)), row)[1] if type(row) in KINDS else []


def figures_of_each(request: HttpRequest, rows: Sequence[Model]) -> list[list[Figure]]:
    """Return the same for each row, by one query for all."""
    wanted = [(row, figure) for row in rows for figure in _figures(request, row)]
    queries = [_number(place, figure, row) for place, (row, figure) in enumerate(wanted)]
    found = queries[0].union(*queries[1:], all=True).order_by() if queries else ()
    numbers = {each[0]: each[-1] for each in found}
    read = [(row, figure._replace(number=numbers[place])) for place, (row, figure) in enumerate(wanted)]
    return [[figure for owner, figure in read if owner is row] for row in rows]


def _figures(request: HttpRequest, row: Model) -> Iterator[Figure]:
    of_it = _of(row)
    if isinstance(row, Organization) and may_read(request, Agent):
        stopped = Agent.objects.filter(organization=row, stopped_at__isnull=False)
        yield _count("stopped", gettext_lazy("Stopped agents"), stopped, {**of_it, "stopped_at__isempty": "0"})
    if may_read(request, Consent):
        live = {**of_it, "status__exact": Consent.Status.APPROVED.value}
        # An agent has one with each of its users.
        label = gettext_lazy("Connected users") if isinstance(row, Agent) else gettext_lazy("Live consents")
        yield _count("consents", label, Consent.objects.filter(**live), live)
        waiting = {**_of_approvals(row), "status__exact": Approval.Status.PENDING.value}
        yield _count("approvals", gettext_lazy("Open approvals"), Approval.objects.filter(**waiting), waiting)
    if isinstance(row, Agent) and may_read(request, TokenFamily):
        families = TokenFamily.objects.filter(application=row, revoked_at=None)
        filters = {"application__id__exact": row.pk, "revoked_at__isempty": "1"}
        yield _count("families", gettext_lazy("Live token families"), families, filters)


def _of(row: Model) -> dict[str, str]:
    """Return the filter of the lists of what belongs to the row."""
    return {f"{KINDS[type(row)]}__id__exact": row.pk}


def _of_approvals(row: Model) -> dict[str, str]:
    """Return the same for approvals, which belong to an organization through their agent."""
    return {f"agent__{name}": pk for name, pk in _of(row).items()} if isinstance(row, Organization) else _of(row)


def _count(name: str, label: Any, rows: QuerySet[Any], filters: dict[str, str]) -> Figure:
    return Figure(name, label, Bounded.of(rows), list_url(rows.model, **filters))


def _decisions(request: HttpRequest, row: Any) -> Iterator[Figure]:
    """Yield the decisions of the hour now and the 23 before, except those that are not counted yet."""
    # Stock clients have no organization, and are counted with those that use them.
    organization_id = row.organization_id if isinstance(row, Agent) else row.pk
    if isinstance(row, User) or organization_id is None or not may_read(request, Entry):
        return
    agent_id, window = row.pk if isinstance(row, Agent) else None, last_24_hours(clock.now())
    ends = {"from": window.since.isoformat(), "to": window.until.isoformat()}
    allowed = count_decisions(organization_id, Outcome.ALLOWED, window, agent_id=agent_id)
    denied = count_denials(organization_id, window, agent_id=agent_id)
    shown = {"event__exact": Event.TOKEN_VERIFY.value, "outcome__exact": Outcome.ALLOWED.value}
    for name, label, numbers, filters in (
        ("allowed", gettext_lazy("Allowed in 24 hours"), allowed, shown),
        ("denied", gettext_lazy("Denied in 24 hours"), denied, SHOWN_DENIED),
    ):
        yield Figure(name, label, Subquery(numbers), list_url(Entry, q=row.pk, **filters, **ends))


def _query(place: int, one: Joined) -> QuerySet[Any, Any]:
    """Return the newest rows as a part of a union. SQLite cannot limit one, so a subquery does."""
    rows = one.model._default_manager
    newest = rows.filter(one.where).order_by("-pk").values("pk")[: SHOWN + 1]
    columns = [_text(name) for name in ("pk", one.title, one.other, one.status)]
    values = Value(place), *columns, F(one.at) if one.at else NEVER, Value(0)
    return rows.filter(pk__in=newest).order_by().values_list(*values)


def _number(place: int, figure: Figure, row: Model) -> QuerySet[Any, Any]:
    about = type(row)._default_manager.filter(pk=row.pk).order_by()
    return about.values_list(Value(place), *[NO_TEXT] * 4, NEVER, Coalesce(figure.number, 0))


def _text(name: Any) -> Any:
    return Cast(F(name) if isinstance(name, str) else name, CharField()) if name else NO_TEXT


def _age(row: tuple[Any, ...]) -> tuple[int, str]:
    """Return what orders rows by their keys, which a union has as text even if they are numbers."""
    key: str = row[1]
    return (int(key), "") if key.isdecimal() else (0, key)


def _section(one: Joined, found: Sequence[tuple[Any, ...]]) -> Section:
    rows = [
        Row(row_url(one.model, pk), plain_text(title), plain_text(other), status or "", at)
        for _place, pk, title, other, status, at, _total in sorted(found, key=_age, reverse=True)
    ]
    number = f"{SHOWN}+" if len(rows) > SHOWN else str(len(rows))
    url = list_url(one.model, **one.filters) if one.filters else ""
    return Section(one.heading, rows[:SHOWN], number, url, one.untitled)


def _of_organization(row: Organization) -> Iterator[Joined]:
    join = partial(Joined, where=Q(organization=row.pk), filters=_of(row))
    yield join(model=Developer, heading=gettext_lazy("Members"), title="user__email", status=MEMBERSHIP)
    yield join(model=Agent, heading=gettext_lazy("Agents"), title="name", status=AGENT_STATUS, at="created")
    yield join(model=Consent, heading=CONSENTS, title="agent__name", other="user__email", status="status")
    yield join(model=Policy, heading=gettext_lazy("Policies"), title="name")
    yield join(model=ResourceServer, heading=gettext_lazy("Resource servers"), title="name", other="identifier")
    yield _approvals(Q(agent__organization=row.pk), _of_approvals(row))  # which an index finds


def _of_agent(row: Agent) -> Iterator[Joined]:
    of_it = Q(agent=row.pk)
    join = partial(Joined, where=of_it, filters=_of(row))
    asked = gettext_lazy("Not answered")
    yield join(model=Consent, heading=CONSENTS, title="user__email", status="status", untitled=asked)
    families = partial(Joined, where=Q(application=row.pk), filters={"application__id__exact": row.pk})
    yield families(model=TokenFamily, heading=FAMILIES, title="user__email")
    yield join(model=Policy, heading=gettext_lazy("Policies for this agent"), title="name")
    yield _approvals(of_it, _of(row), title="user__email")


def _of_person(row: User) -> Iterator[Joined]:
    of_it = Q(user=row.pk)
    join = partial(Joined, where=of_it, filters=_of(row))
    yield join(model=Consent, heading=CONSENTS, title="agent__name", status="status")
    yield join(model=TokenFamily, heading=FAMILIES, title="application__name")
    yield _approvals(of_it, _of(row))
    organizations = partial(join, model=Developer, heading=gettext_lazy("Organizations"))
    yield organizations(title="organization__name", status=MEMBERSHIP)
    yield join(model=SessionToken, heading=gettext_lazy("API sessions"), title="user_agent")
    others = of_it & Q(primary=False)
    yield join(model=EmailAddress, heading=gettext_lazy("Other email addresses"), where=others, title="email", at="")
    yield Joined(model=Group, heading=gettext_lazy("Roles"), where=of_it, title="name", at="")


def _approvals(where: Q, filters: dict[str, str], title: str = "agent__name") -> Joined:
    return Joined(
        model=Approval, heading=gettext_lazy("Approvals"), where=where, filters=filters, title=title, status="status"
    )


SECTIONS: Mapping[Any, Callable[[Any], Iterator[Joined]]] = {
    Organization: _of_organization,
    Agent: _of_agent,
    User: _of_person,
}
