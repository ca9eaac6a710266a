"""Everything on the page of the analytics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from audit.events import Outcome
from insights.counting import rule_parts
from insights.models import Kind
from insights.selectors import Coverage, find_coverage, series, totals
from insights.windows import Window
from web.display.sparkline import Sparkline
from web.portal.analytics.breakdown import (
    AGENT,
    DRAWN,
    OUTCOME,
    RULE,
    SCOPE,
    Breakdown,
    Grouping,
    break_down,
    listed_number,
    most_frequent,
    with_outcomes,
)
from web.portal.analytics.charts import bar_lengths
from web.portal.analytics.consents import Consents, find_consents
from web.portal.analytics.counts import Count, highest, percent
from web.portal.analytics.links import ALLOWED, DECISIONS, DENIED, Links, Query, of_rule
from web.portal.analytics.periods import Period
from web.portal.analytics.value_labels import Names, ValueLabel

type Totals = Mapping[Kind, Mapping[str, int]]

DENIALS_LISTED = 10
# The worker counts once per minute. The page warns if an entry has waited longer than this.
LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the URL asks for."""

    period: Period
    by: Grouping
    agent_id: str = ""
    lists_all: bool = False


class Denied(NamedTuple):
    """How often a value of the kind `rule` denied an agent. If `agent_id` is empty, that is the chosen agent."""

    agent_id: str
    rule: str
    number: int
    before: int


@dataclass(frozen=True, slots=True)
class TopDenial:
    """A frequent denial: the agent, or None if one is chosen, the reason, and the length of its bar."""

    agent: ValueLabel | None
    why: ValueLabel
    count: Count
    bar: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers at the top of the page."""

    decisions: Count
    spark: Sparkline
    allowed: Count
    denied: Count
    denied_share: str


@dataclass(frozen=True, slots=True)
class Report:
    choice: Choice
    coverage: Coverage
    is_late: bool
    summary: Summary
    breakdown: Breakdown
    denials: Sequence[TopDenial]
    consents: Consents

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted in this period."""
        return not self.summary.decisions.number and self.consents.is_empty


def make_report(organization_id: str, choice: Choice, now: datetime) -> Report:
    """Return the analytics of the organization. The number of queries does not depend on the length of the log."""
    window = choice.period.window(now)
    earlier, kinds, agent_id = choice.period.window_before(window), _kinds(choice), choice.agent_id or None
    # All agents together can have thousands of kinds of denials. The page shows ten.
    current = totals(organization_id, kinds, window, agent_id=agent_id, most={Kind.DENIAL: DENIALS_LISTED})
    before = totals(organization_id, kinds, earlier, agent_id=agent_id, only=_compared(choice, current))
    in_steps = series(
        organization_id, {Kind.DECISION, choice.by.kind}, window, agent_id=agent_id, only=_drawn(choice, current)
    )
    decisions = in_steps[Kind.DECISION]
    whole = [sum(column) for column in zip([0] * len(window.starts()), *decisions.values(), strict=True)]
    denials = _most_denied(choice, current, before)
    names, links = _names(organization_id, choice, current, denials), Links(choice.agent_id)
    coverage = find_coverage()
    return Report(
        choice=choice,
        coverage=coverage,
        is_late=coverage.waiting_since is not None and coverage.waiting_since < now - LATE,
        summary=_summary(window, current, before, whole, links),
        breakdown=break_down(
            choice.by,
            window,
            now=current[choice.by.kind],
            before=before[choice.by.kind],
            over_time=in_steps[choice.by.kind],
            whole=whole,
            names=names,
            links=links,
            lists_all=choice.lists_all,
        ),
        denials=_top_denials(denials, window, names, links),
        consents=find_consents(window, current, before, names, links),
    )


def _drawn(choice: Choice, current: Totals) -> dict[Kind, list[str]]:
    """Return the agents that the chart draws: an organization can have hundreds. Other kinds are read in full."""
    by = choice.by
    return {by.kind: with_outcomes(by, most_frequent(by, current[by.kind], DRAWN))} if by is AGENT else {}


def _denial_kind(choice: Choice) -> Kind:
    return Kind.RULE if choice.agent_id else Kind.DENIAL


def _kinds(choice: Choice) -> set[Kind]:
    return {Kind.DECISION, Kind.CONSENT, Kind.ASKED, Kind.DECLINED, choice.by.kind, _denial_kind(choice)}


def _compared(choice: Choice, current: Totals) -> dict[Kind, set[str]]:
    """Return the values that the page compares with the previous period, for the kinds that can have thousands."""
    by, denial = choice.by, _denial_kind(choice)
    shown = {denial: set(highest(current[denial], DENIALS_LISTED))}
    if by is not OUTCOME:
        listed = with_outcomes(by, _listed(choice, current))
        shown[by.kind] = shown.get(by.kind, set()) | set(listed)
    return shown


def _listed(choice: Choice, current: Totals) -> list[str]:
    return most_frequent(choice.by, current[choice.by.kind], listed_number(lists_all=choice.lists_all))


def _names(organization_id: str, choice: Choice, counts: Totals, denials: Sequence[Denied]) -> Names:
    values, none = set(_listed(choice, counts)), set[str]()
    rules = {one.rule for one in denials} | (values if choice.by is RULE else none)
    return Names(
        organization_id,
        agents={one.agent_id for one in denials} | (values if choice.by is AGENT else none),
        policies={rule_parts(rule)[1] for rule in rules},
        scopes={*counts[Kind.DECLINED]} | (values if choice.by is SCOPE else none),
    )


def _most_denied(choice: Choice, current: Totals, before: Totals) -> list[Denied]:
    kind = _denial_kind(choice)
    found = []
    for value in highest(current[kind], DENIALS_LISTED):
        agent_id, rule = value.split(" ", 1) if kind is Kind.DENIAL else ("", value)
        found.append(Denied(agent_id, rule, current[kind][value], before[kind].get(value, 0)))
    return found


def _top_denials(denials: Sequence[Denied], window: Window, names: Names, links: Links) -> list[TopDenial]:
    found = []
    for one, bar in zip(denials, bar_lengths([one.number for one in denials]), strict=True):
        query = {**of_rule(one.rule), "agent": one.agent_id or links.agent_id}
        agent = names.agent(one.agent_id) if one.agent_id else None
        found.append(
            TopDenial(agent, names.rule(one.rule), Count(one.number, one.before, links.to(window, query)), bar)
        )
    return found


def _summary(window: Window, current: Totals, before: Totals, steps: Sequence[int], links: Links) -> Summary:
    counts, earlier = current[Kind.DECISION], before[Kind.DECISION]

    def of(outcome: Outcome, query: Query) -> Count:
        return Count(counts.get(outcome, 0), earlier.get(outcome, 0), links.to(window, {**DECISIONS, **query}))

    whole, denied = sum(counts.values()), of(Outcome.DENIED, DENIED)
    return Summary(
        decisions=Count(whole, sum(earlier.values()), links.to(window, DECISIONS)),
        spark=Sparkline(steps),
        allowed=of(Outcome.ALLOWED, ALLOWED),
        denied=denied,
        denied_share=percent(denied.number, whole),
    )
