"""Decisions over time, grouped as the user chooses: the chart, the table beside it, and the numbers per step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.events import Outcome
from insights.models import Kind
from insights.windows import Window
from web.portal.analytics.charts import Plot, stacked_bars
from web.portal.analytics.counts import Count, Row, Step, highest, percent
from web.portal.analytics.links import ALLOWED, DECISIONS, DENIED, Links, Query, of_rule
from web.portal.analytics.periods import short_step_name, step_name
from web.portal.analytics.value_labels import Names, ValueLabel

type Numbers = Mapping[str, int]

OUTCOME_QUERIES = {Outcome.ALLOWED.value: ALLOWED, Outcome.DENIED.value: DENIED}
# The number of values with a color of their own, and of lines in the table, short and in full.
DRAWN, LISTED, ALL_LISTED = 5, 8, 40


@dataclass(frozen=True, slots=True)
class Grouping:
    """What decisions are grouped by. `kind` counts it, and `one` is the heading of the column of values."""

    name: str
    label: Any
    kind: Kind
    one: Any

    @property
    def has_outcomes(self) -> bool:
        """Whether each value is counted separately by outcome."""
        return self.kind in (Kind.AGENT, Kind.SCOPE)


OUTCOME = Grouping("outcome", gettext_lazy("Outcome"), Kind.DECISION, gettext_lazy("Outcome"))
RULE = Grouping("rule", gettext_lazy("Rule"), Kind.RULE, gettext_lazy("What denied"))
AGENT = Grouping("agent", gettext_lazy("Agent"), Kind.AGENT, gettext_lazy("Agent"))
SCOPE = Grouping("scope", gettext_lazy("Scope"), Kind.SCOPE, gettext_lazy("Scope"))
GROUPINGS = (OUTCOME, RULE, AGENT, SCOPE)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The section of the page. `more` is the number of values that the table leaves out."""

    by: Grouping
    plot: Plot
    rows: Sequence[Row]
    more: int
    columns: Sequence[ValueLabel]
    steps: Sequence[Step]
    axis: Sequence[str]


@dataclass(frozen=True, slots=True)
class Split:
    """A counted value, split into the value itself and its outcome."""

    value: str
    outcome: str


def split(by: Grouping, value: str) -> Split:
    """Split a counted value into the value and its outcome."""
    if by is AGENT:
        agent, outcome = value.rsplit(" ", 1)
        return Split(agent, outcome)
    if by is SCOPE:
        outcome, scope = value.split(" ", 1)
        return Split(scope, outcome)
    return Split(value, "")


def break_down(
    by: Grouping,
    window: Window,
    *,
    now: Numbers,
    before: Numbers,
    over_time: Mapping[str, Sequence[int]],
    whole: Sequence[int],
    names: Names,
    links: Links,
    lists_all: bool = False,
) -> Breakdown:
    """Return the section. `now` and `before` have the counts of both periods, and `over_time` the counts of each step.

    `before` and `names` need only the values that are listed. For agents, `over_time` needs only those that are drawn.
    `whole` has all decisions of each step.
    """
    totals, steps = _sums(by, now), len(window.starts())
    order = [one for one in OUTCOME_QUERIES if one in totals] if by is OUTCOME else highest(totals, len(totals))
    drawn, listed = order[:DRAWN], order[: listed_number(lists_all=lists_all)]
    per_value = _series(by, over_time, steps)
    series = [per_value.get(value, [0] * steps) for value in drawn]
    others = _rest(whole, series) if by is AGENT else _others(per_value, drawn, steps)
    return Breakdown(
        by=by,
        plot=stacked_bars([*series, others] if any(others) else series),
        rows=_rows(by, window, listed, now, before, names, links),
        more=len(order) - len(listed),
        columns=[label_of(by, value, names) for value in drawn],
        steps=_steps(by, window, drawn, series, links),
        axis=axis(window),
    )


def listed_number(*, lists_all: bool) -> int:
    """Return the most lines that the table can have."""
    return ALL_LISTED if lists_all else LISTED


def most_frequent(by: Grouping, counts: Numbers, number: int) -> list[str]:
    """Return the `number` values that occurred most often, without their outcomes."""
    return highest(_sums(by, counts), number)


def with_outcomes(by: Grouping, values: Iterable[str]) -> list[str]:
    """Return the values as they are counted: with each outcome, if outcomes are counted. The inverse of `split`."""
    if not by.has_outcomes:
        return list(values)
    pairs = product(values, OUTCOME_QUERIES)
    return [f"{value} {outcome}" if by is AGENT else f"{outcome} {value}" for value, outcome in pairs]


def query_of(by: Grouping, value: str) -> Query:
    """Return the log query for a value."""
    if by is RULE:
        return of_rule(value)
    if by is OUTCOME:
        return {**DECISIONS, **OUTCOME_QUERIES.get(value, {})}
    return {**DECISIONS, "agent" if by is AGENT else "scope": value}


def label_of(by: Grouping, value: str, names: Names) -> ValueLabel:
    if by is OUTCOME:
        return ValueLabel(_("Allowed") if value == Outcome.ALLOWED else _("Denied"))
    if by is RULE:
        return names.rule(value)
    return names.agent(value) if by is AGENT else names.scope(value)


def axis(window: Window) -> list[str]:
    """Return the names of the first, middle and last step, for the axis below a chart."""
    starts = window.starts()
    return [short_step_name(starts[place], window.step) for place in (0, len(starts) // 2, -1)]


def _sums(by: Grouping, counts: Numbers, outcome: str = "") -> dict[str, int]:
    """Return the counts by value, for one outcome or for all."""
    found: dict[str, int] = {}
    for value, number in counts.items():
        one = split(by, value)
        if not outcome or one.outcome == outcome:
            found[one.value] = found.get(one.value, 0) + number
    return found


def _rows(
    by: Grouping, window: Window, listed: Sequence[str], now: Numbers, before: Numbers, names: Names, links: Links
) -> list[Row]:
    totals, earlier = _sums(by, now), _sums(by, before)
    denied, denied_before = _sums(by, now, Outcome.DENIED), _sums(by, before, Outcome.DENIED)
    whole, rows = sum(totals.values()), []
    for place, value in enumerate(listed, 1):
        query = query_of(by, value)
        refused = Count(denied.get(value, 0), denied_before.get(value, 0), links.to(window, {**query, **DENIED}))
        rows.append(
            Row(
                label_of(by, value, names),
                Count(totals[value], earlier.get(value, 0), links.to(window, query)),
                swatch=min(place, DRAWN + 1),
                share=percent(totals[value], whole),
                denied=refused if by.has_outcomes else None,
            )
        )
    return rows


def _series(by: Grouping, over_time: Mapping[str, Sequence[int]], steps: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for value, numbers in over_time.items():
        total = found.setdefault(split(by, value).value, [0] * steps)
        for place, number in enumerate(numbers):
            total[place] += number
    return found


def _rest(whole: Sequence[int], series: Sequence[Sequence[int]]) -> list[int]:
    """Return what remains of the total in each step."""
    return [total - sum(column) for total, *column in zip(whole, *series, strict=True)]


def _others(per_value: Mapping[str, Sequence[int]], drawn: Sequence[str], steps: int) -> list[int]:
    rest = [numbers for value, numbers in per_value.items() if value not in drawn]
    return [sum(column) for column in zip(*rest, strict=True)] if rest else [0] * steps


def _steps(
    by: Grouping, window: Window, drawn: Sequence[str], series: Sequence[Sequence[int]], links: Links
) -> list[Step]:
    """Return the numbers of each step, newest first. Zeros have no URL."""
    found = []
    for place, start in enumerate(window.starts()):
        end = min(start + window.step, window.until)
        cells = [
            (numbers[place], links.between(start, end, query_of(by, value)) if numbers[place] else "")
            for value, numbers in zip(drawn, series, strict=True)
        ]
        found.append(Step(step_name(start, window.step), cells))
    return found[::-1]
