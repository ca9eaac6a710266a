"""What the page of the analytics shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel import numbers

from audit.entries.requests import Step
from audit.events import Outcome
from core.local import local_locale
from insights.counting import rule_parts
from insights.models import Kind
from insights.selectors import Coverage, Totals, find_coverage, series, totals
from insights.windows import Window
from web.portal.analytics.charts import Plot, bar_length, stacked_bars
from web.portal.analytics.links import ALLOWED, DECISIONS, DENIED, Query, of_rule, rows_url
from web.portal.analytics.periods import Period, short_step_name, step_name
from web.portal.analytics.value_labels import Names, ValueLabel
from web.portal.logs.phrases import STEPS

type Numbers = Mapping[str, int]
type Link = Callable[[Query], str]

LISTED = 10
KINDS = frozenset({Kind.DECISION, Kind.SCOPE, Kind.CONSENT, Kind.ASKED, Kind.DECLINED})
# The worker counts once per minute. The page warns if an entry has waited longer than this.
LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Count:
    """A number, and the URL of the rows behind it."""

    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. `bar` compares its count with the highest of the table, and `share` with a whole.

    `other` is a second number, such as the denials among an agent's decisions, and `denied_bar` is the length of those.
    """

    words: ValueLabel
    count: Count
    bar: str
    other: Count | None = None
    share: str = ""
    agent: ValueLabel | None = None
    denied_bar: str = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The chart and its table. `steps` are the numbers of both outcomes, newest first."""

    whole: Count
    allowed: Count
    denied: Count
    denied_share: str
    plot: Plot
    axis: Sequence[str]
    steps: Sequence[tuple[str, Sequence[Count]]]


@dataclass(frozen=True, slots=True)
class Report:
    coverage: Coverage
    is_late: bool
    decisions: Decisions
    agents: Sequence[Row]
    scopes: Sequence[Row]
    denials: Sequence[Row]
    consents: Sequence[Row]
    declined: Sequence[Row]

    @property
    def has_consents(self) -> bool:
        return any(row.count.number for row in self.consents)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted in this period."""
        return not self.decisions.whole.number and not self.has_consents


def make_report(organization_id: str, period: Period, agent_id: str, now: datetime) -> Report:
    """Return the analytics of the organization. The number of queries does not depend on the length of the log."""
    window, coverage = period.window(now), find_coverage()
    kinds = KINDS | ({Kind.RULE} if agent_id else {Kind.AGENT, Kind.DENIAL})
    # There can be thousands of denials of all agents.
    counts = totals(organization_id, kinds, window, agent_id=agent_id or None, most={Kind.DENIAL: LISTED})
    in_steps = series(organization_id, [Kind.DECISION], window, agent_id=agent_id or None)[Kind.DECISION]
    denied = _most_denied(counts)
    names = _names(organization_id, counts, denied)

    def link(query: Query, within: Window = window) -> str:
        return rows_url(organization_id, within, {"agent": agent_id, **query})

    return Report(
        coverage=coverage,
        is_late=coverage.waiting_since is not None and coverage.waiting_since < now - LATE,
        decisions=_decisions(counts[Kind.DECISION], in_steps, window, link),
        agents=_decided(counts, Kind.AGENT, names.agent, link),
        scopes=_decided(counts, Kind.SCOPE, names.scope, link),
        denials=_denials(denied, names, link),
        consents=_consents(counts[Kind.CONSENT], link),
        declined=_declined(counts, names, link),
    )


def percent(number: int, of: int) -> str:
    """Return the share in whole percent, or in tenths if it is small. Empty if there is nothing to share."""
    if not of:
        return ""
    style = "#,##0.0%" if 0 < number / of < 0.01 else "#,##0%"
    return str(numbers.format_percent(number / of, style, locale=local_locale()))


def highest(counts: Numbers) -> list[str]:
    """Return the values that occurred most often, in alphabetical order if equally often."""
    return sorted(counts, key=lambda value: (-counts[value], value))[:LISTED]


def _sums(counts: Totals, kind: Kind) -> tuple[dict[str, int], dict[str, int]]:
    """Return the decisions and the denials of each agent or scope."""
    whole: dict[str, int] = {}
    denied: dict[str, int] = {}
    for value, number in counts.get(kind, {}).items():
        name, outcome = value.rsplit(" ", 1) if kind is Kind.AGENT else reversed(value.split(" ", 1))
        whole[name] = whole.get(name, 0) + number
        if outcome == Outcome.DENIED:
            denied[name] = number
    return whole, denied


def _names(organization_id: str, counts: Totals, denied: Sequence[tuple[str, str, int]]) -> Names:
    """Return the names of everything that the page lists."""
    return Names(
        organization_id,
        agents={*highest(_sums(counts, Kind.AGENT)[0]), *(agent_id for agent_id, _, _ in denied if agent_id)},
        policies={rule_parts(rule)[1] for _, rule, _ in denied},
        scopes={*highest(_sums(counts, Kind.SCOPE)[0]), *highest(counts[Kind.DECLINED])},
    )


def _decisions(
    counts: Numbers, in_steps: Mapping[str, Sequence[int]], window: Window, link: Callable[[Query, Window], str]
) -> Decisions:
    def count(number: int, outcome: Query, within: Window) -> Count:
        return Count(number, link({**DECISIONS, **outcome}, within))

    starts, whole, denied = window.starts(), sum(counts.values()), counts.get(Outcome.DENIED, 0)
    both = [in_steps.get(outcome, [0] * len(starts)) for outcome in (Outcome.ALLOWED, Outcome.DENIED)]
    steps = []
    for start, *pair in zip(starts, *both, strict=True):
        within = Window(start, min(start + window.step, window.until))
        cells = [count(number, outcome, within) for number, outcome in zip(pair, (ALLOWED, DENIED), strict=True)]
        steps.append((step_name(start, window.step), cells))
    return Decisions(
        whole=count(whole, {}, window),
        allowed=count(counts.get(Outcome.ALLOWED, 0), ALLOWED, window),
        denied=count(denied, DENIED, window),
        denied_share=percent(denied, whole),
        plot=stacked_bars(both),
        axis=[short_step_name(starts[place], window.step) for place in (0, len(starts) // 2, -1)],
        steps=steps[::-1],
    )


def _decided(counts: Totals, kind: Kind, words: Callable[[str], ValueLabel], link: Link) -> list[Row]:
    """Return the agents or the scopes with the most decisions."""
    whole, denied = _sums(counts, kind)
    shown, rows = highest(whole), []
    for value in shown:
        query = {**DECISIONS, kind.value: value}  # the log's filter has the name of the kind
        refused = Count(denied.get(value, 0), link({**query, **DENIED}))
        bar, part = (bar_length(number, whole[shown[0]]) for number in (whole[value], refused.number))
        rows.append(Row(words(value), Count(whole[value], link(query)), bar, refused, denied_bar=part))
    return rows


def _most_denied(counts: Totals) -> list[tuple[str, str, int]]:
    """Return the agent, the rule and the number of the most frequent denials. No agent is named if one is chosen."""
    if Kind.RULE in counts:
        return [("", rule, counts[Kind.RULE][rule]) for rule in highest(counts[Kind.RULE])]
    parts = ((*value.partition(" "), number) for value, number in counts[Kind.DENIAL].items())
    return sorted(((agent, rule, number) for agent, _, rule, number in parts), key=lambda one: (-one[2], *one[:2]))


def _denials(denied: Sequence[tuple[str, str, int]], names: Names, link: Link) -> list[Row]:
    rows = []
    for agent_id, rule, number in denied:
        query = {**of_rule(rule), "agent": agent_id} if agent_id else of_rule(rule)
        agent = names.agent(agent_id) if agent_id else None
        bar = bar_length(number, denied[0][2])
        rows.append(Row(names.rule(rule), Count(number, link(query)), bar, agent=agent))
    return rows


def _consents(counts: Numbers, link: Link) -> list[Row]:
    """Return what became of the requests. A request counts when it was made, and its answer when it was given."""
    asked, top, rows = counts.get(Step.ASKED, 0), max(counts.values(), default=0), []
    for step in Step:
        number = counts.get(step, 0)
        share = "" if step is Step.ASKED else percent(number, asked)
        count = Count(number, link({"step": step.value}))
        rows.append(Row(ValueLabel(str(STEPS[step])), count, bar_length(number, top), share=share))
    return rows


def _declined(counts: Totals, names: Names, link: Link) -> list[Row]:
    """Return the scopes that users left out, and how often they were asked for them."""
    declined, asked = counts[Kind.DECLINED], counts[Kind.ASKED]
    shown, rows = highest(declined), []
    for scope in shown:
        number, of = declined[scope], asked.get(scope, 0)
        requests = Count(of, link({"step": Step.ASKED.value, "scope": scope}))
        count, bar = Count(number, link({"declined": scope})), bar_length(number, declined[shown[0]])
        rows.append(Row(names.scope(scope), count, bar, requests, percent(number, of)))
    return rows
