"""Reads of the roll-ups. Each takes the tenant, except `find_coverage`, which says how far the whole log is counted.

Of the log, at most the newest entries are read, which are not counted yet.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from audit.entries.facets import ASKED
from audit.events import Event
from audit.models import Entry
from insights.counting import ALL_AGENTS
from insights.models import Edition, Kind, RollUp, Unit
from insights.windows import DAY, HOUR, Window, floor_day, last_24_hours

# Numbers by value, by kind: one for a time, or one for each of its steps.
type Totals = dict[Kind, dict[str, int]]
type Series = dict[Kind, dict[str, list[int]]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the log is counted: up to an entry of `last_at`. The first one not counted yet is of `waiting_since`."""

    last_at: datetime | None
    waiting_since: datetime | None


def find_coverage() -> Coverage:
    """Return how far the log is counted. Entries that the sequencer has not moved into the log are not among them."""
    entries = Entry.objects.order_by("leaf_index")
    waiting = entries.filter(leaf_index__gte=OuterRef("counted")).values("timestamp")[:1]
    found = Edition.objects.filter(is_used=True).values_list("last_at", Subquery(waiting)).first()
    if found is None:
        return Coverage(None, entries.values_list("timestamp", flat=True).first())
    return Coverage(*found)


def has_history(organization_id: str, now: datetime) -> bool:
    """Return whether anything was decided before yesterday, in UTC. One range of the primary key."""
    days = _rows(organization_id, [Kind.DECISION], None).filter(unit=Unit.DAY, start__lt=floor_day(now - DAY))
    return bool(days.exists())


def decisions_by_outcome(organization_id: str, window: Window) -> dict[str, int]:
    """Return the number of decisions in the window by outcome, by one query.

    Until the first of them are counted, it reads those that wait to be counted from the log: the entries of about a
    minute. So a developer sees their first calls at once.
    """
    rows = _rows(organization_id, [Kind.DECISION], None)
    parts = [rows.filter(part) for part in _in_window(window)]
    counted = [part.values_list("value").annotate(total=Sum("number")) for part in parts]
    waiting = _decisions_not_counted(organization_id, window).filter(*(~Exists(part) for part in parts))
    found: dict[str, int] = {}
    for outcome, total in _all_of([*counted, waiting.values_list("outcome").annotate(total=Count("pk"))]):
        found[outcome] = found.get(outcome, 0) + total
    return found


def totals(
    organization_id: str,
    kinds: Collection[Kind],
    window: Window,
    *,
    agent_id: str | None = None,
    most: Mapping[Kind, int] | None = None,
) -> Totals:
    """Return how often each value of each kind occurred in the window, for one agent or for all, by one query.

    `most` limits the number of values of a kind. The most frequent are returned, and equally frequent ones in the order
    of their bytes.
    """
    limits = dict(most or {})
    whole = [kind for kind in kinds if kind not in limits]
    sums = [_sums(_rows(organization_id, whole, agent_id), window)] if whole else []
    for kind in limits.keys() & set(kinds):
        sums.append(_sums(_rows(organization_id, [kind], agent_id), window, limits[kind]))
    found: Totals = {kind: {} for kind in kinds}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(sql for sql, _ in sums), [value for _, values in sums for value in values])
        for kind, value, number in cursor.fetchall():
            found[Kind(kind)][value] = int(number)
    return found


def series(organization_id: str, kinds: Collection[Kind], window: Window, *, agent_id: str | None = None) -> Series:
    """Return how often each value of each kind that occurred did so in each step, by one query."""
    found: Series = {kind: {} for kind in kinds}
    steps = len(window.starts())
    unit = Unit.HOUR if window.step % DAY else Unit.DAY
    rows = _rows(organization_id, kinds, agent_id).filter(unit=unit)
    rows = rows.filter(start__gte=window.since, start__lt=window.until)
    for kind, start, value, number in rows.values_list("kind", "start", "value", "number"):
        numbers = found[Kind(kind)].setdefault(value, [0] * steps)
        numbers[(start - window.since) // window.step] += number
    return found


def count_decisions(
    organization_id: str, outcome: str, window: Window, *, agent_id: str | None = None
) -> QuerySet[RollUp, Any]:
    """Return the query of how many decisions had this outcome, for one agent or for all: one number, or no row.

    The window must have begun less than 35 days ago, because older hours are deleted.
    """
    return _number(_rows(organization_id, [Kind.DECISION], agent_id).filter(value=outcome), window)


def count_denials(organization_id: str, window: Window, *, agent_id: str | None = None) -> QuerySet[RollUp, Any]:
    """Return the query of how many requests were denied, likewise, without those that wait for an approval."""
    rows = _rows(organization_id, [Kind.RULE], agent_id)
    return _number(rows.exclude(value__startswith=f"{ASKED} "), window)


def decisions_per_hour(organization_id: str, agent_ids: Collection[str], until: datetime) -> dict[str, list[int]]:
    """Return the number of decisions of each of the organization's agents in each of 24 hours, oldest first.

    The last hour is the one that contains `until`, so it may not be over. Agents without decisions have 24 zeros. One
    query, which reads at most two rows per agent and hour, whatever the length of the log. The newest minute or so is
    not counted yet.

    >>> decisions_per_hour(organization.id, [agent.id for agent in page], clock.now())
    {"agt_…": [0, 0, 12, …], …}
    """
    window = last_24_hours(until)
    found = {agent_id: [0] * len(window.starts()) for agent_id in agent_ids}
    rows = _used().filter(organization_id=organization_id, agent_id__in=list(found), kind=Kind.DECISION)
    rows = rows.filter(unit=Unit.HOUR, start__gte=window.since, start__lt=window.until)
    for agent_id, start, number in rows.values_list("agent_id", "start", "number"):
        found[agent_id][(start - window.since) // HOUR] += number
    return found


def _number(rows: QuerySet[RollUp], window: Window) -> QuerySet[RollUp, Any]:
    rows = rows.filter(unit=Unit.HOUR, start__gte=window.since, start__lt=window.until)
    return rows.values("kind").annotate(total=Sum("number")).values_list("total")


def _decisions_not_counted(organization_id: str, window: Window) -> QuerySet[Entry]:
    counted = Coalesce(Subquery(Edition.objects.filter(is_used=True).values("counted")[:1]), 0)
    entries = Entry.objects.filter(leaf_index__gte=counted, event=Event.TOKEN_VERIFY).order_by()
    own = entries.filter(organizations__contains=f"{organization_id} ")
    return own.filter(timestamp__gte=window.since, timestamp__lt=window.until)


def _used() -> QuerySet[RollUp]:
    return RollUp.objects.filter(edition=Subquery(Edition.objects.filter(is_used=True).values("pk")[:1])).order_by()


def _rows(organization_id: str, kinds: Collection[Kind], agent_id: str | None) -> QuerySet[RollUp]:
    return _used().filter(organization_id=organization_id, agent_id=agent_id or ALL_AGENTS, kind__in=list(kinds))


def _in_window(window: Window) -> Iterator[Q]:
    """Yield the conditions of the rows that count the window: whole days, and the hours before and after them.

    They are disjoint. With those of `_rows`, each is a range of the primary key.
    """
    first_day = floor_day(window.since + DAY - HOUR)
    last_day = floor_day(window.until)
    if first_day >= last_day:
        yield Q(unit=Unit.HOUR, start__gte=window.since, start__lt=window.until)
        return
    yield Q(unit=Unit.DAY, start__gte=first_day, start__lt=last_day)
    if window.since < first_day:
        yield Q(unit=Unit.HOUR, start__gte=window.since, start__lt=first_day)
    if last_day < window.until:
        yield Q(unit=Unit.HOUR, start__gte=last_day, start__lt=window.until)


def _sums(rows: QuerySet[RollUp], window: Window, limit: int | None = None) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that adds the numbers of each value in the window up, and its parameters.

    With `limit`, it returns only the most frequent values. Django cannot aggregate a union, and with all parts
    of the window in one condition, SQLite takes twice as long.
    """
    parts = [rows.filter(part).values_list("kind", "value", "number") for part in _in_window(window)]
    sql, params = _all_of(parts).query.sql_with_params()
    sums = f"SELECT kind, value, SUM(number) FROM ({sql}) parts GROUP BY 1, 2"  # noqa: S608
    if limit is None:
        return sums, params
    return f"SELECT * FROM ({sums} ORDER BY 3 DESC, 2 LIMIT %s) highest", (*params, limit)  # noqa: S608


def _all_of(parts: list[QuerySet[Any, Any]]) -> QuerySet[Any, Any]:
    """Return the rows of all parts, read by one query."""
    return parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
