"""Everything on the page of the analytics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.events import Outcome
from insights.counting import Step, rule_parts
from insights.models import Kind
from insights.selectors import Coverage, Window, find_coverage, series, totals_of_each
from web.analytics.breakdown import AGENT, OUTCOME, RULE, SCOPE, Breakdown, By, break_down, drawn_values, values_of
from web.analytics.consents import Consents, find_consents
from web.analytics.counts import Count, highest, percent
from web.analytics.latency import Latencies, find_latencies
from web.analytics.links import ALLOWED, DECISIONS, DENIED, Links, of_rule
from web.analytics.periods import Period
from web.analytics.words import Names, Words
from web.sparkline import Sparkline

type Totals = Mapping[Kind, Mapping[str, int]]

DENIALS_LISTED = 10
# The worker counts once per minute. The page warns if an entry has waited for longer than this.
LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the URL asks for."""

    period: Period
    by: By
    agent_id: str = ""
    lists_all: bool = False


@dataclass(frozen=True, slots=True)
class TopDenial:
    """What was denied often: which agent, or None if one is chosen, and why."""

    agent: Words | None
    why: Words
    count: Count


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers on top of the page."""

    decisions: Count
    spark: Sparkline
    allowed: Count
    denied: Count
    denied_share: str
    asked: Count


@dataclass(frozen=True, slots=True)
class Report:
    choice: Choice
    coverage: Coverage
    is_late: bool
    summary: Summary
    breakdown: Breakdown
    denials: Sequence[TopDenial]
    consents: Consents
    latencies: Latencies | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted in this period."""
        return not self.summary.decisions.number and self.consents.is_empty


def make_report(organization_id: str, choice: Choice, now: datetime) -> Report:
    """Return the analytics of the organization. The number of queries does not depend on the length of the log."""
    window = choice.period.window(now)
    windows, agent_id = [window, choice.period.window_before(window)], choice.agent_id or None
    current, before = totals_of_each(organization_id, _kinds(choice), windows, agent_id=agent_id)
    decisions = series(organization_id, Kind.DECISION, window, agent_id=agent_id)
    whole = [sum(column) for column in zip([0] * len(window.starts()), *decisions.values(), strict=True)]
    over_time = decisions if choice.by is OUTCOME else _over_time(organization_id, choice, window, current)
    names, links = _names(organization_id, choice, current), Links(choice.agent_id)
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
            over_time=over_time,
            whole=whole,
            names=names,
            links=links,
            lists_all=choice.lists_all,
        ),
        denials=_denials(_denial_kind(choice), window, current, before, names, links),
        consents=find_consents(window, current, before, names, links),
        latencies=find_latencies(choice.period, window),
    )


def _over_time(organization_id: str, choice: Choice, window: Window, current: Totals) -> dict[str, list[int]]:
    """Return the numbers of each step. An organization can have hundreds of agents, so only those drawn are read."""
    by, agent_id = choice.by, choice.agent_id or None
    values = drawn_values(by, current[by.kind]) if by is AGENT else None
    return series(organization_id, by.kind, window, agent_id=agent_id, values=values)


def _denial_kind(choice: Choice) -> Kind:
    return Kind.RULE if choice.agent_id else Kind.DENIAL


def _kinds(choice: Choice) -> set[Kind]:
    return {Kind.DECISION, Kind.CONSENT, Kind.ASKED, Kind.LEFT_OUT, choice.by.kind, _denial_kind(choice)}


def _names(organization_id: str, choice: Choice, counts: Totals) -> Names:
    denials = {kind: _top_denials(kind, counts) for kind in (_denial_kind(choice),)}
    values = values_of(choice.by, counts[choice.by.kind])
    agents = {value.split(" ", 1)[0] for value in denials.get(Kind.DENIAL, ())}
    rules = {_rule(kind, value) for kind, found in denials.items() for value in found}
    return Names(
        organization_id,
        agents=agents | (values if choice.by is AGENT else set()),
        policies={rule_parts(rule)[1] for rule in rules | (values if choice.by is RULE else set())},
        scopes={*counts[Kind.LEFT_OUT]} | (values if choice.by is SCOPE else set()),
    )


def _top_denials(kind: Kind, counts: Totals) -> list[str]:
    return highest(counts[kind], DENIALS_LISTED)


def _rule(kind: Kind, value: str) -> str:
    """Return the value of the kind `rule` in a value of either kind."""
    return value.split(" ", 1)[1] if kind is Kind.DENIAL else value


def _denials(
    kind: Kind, window: Window, current: Totals, before: Totals, names: Names, links: Links
) -> list[TopDenial]:
    found = []
    for value in _top_denials(kind, current):
        rule = _rule(kind, value)
        agent = value.split(" ", 1)[0] if kind is Kind.DENIAL else ""
        query = {**of_rule(rule), **({"agent": agent} if agent else {})}
        count = Count(current[kind][value], before[kind].get(value, 0), links.to(window, query))
        found.append(TopDenial(names.agent(agent) if agent else None, names.rule(rule), count))
    return found


def _summary(window: Window, current: Totals, before: Totals, steps: Sequence[int], links: Links) -> Summary:
    counts, earlier = current[Kind.DECISION], before[Kind.DECISION]

    def of(outcome: Outcome) -> tuple[int, int]:
        return counts.get(outcome, 0), earlier.get(outcome, 0)

    whole = sum(counts.values())
    denied, _ = of(Outcome.DENIED)
    asked = [one[Kind.CONSENT].get(Step.ASKED, 0) for one in (current, before)]
    return Summary(
        decisions=Count(whole, sum(earlier.values()), links.to(window, DECISIONS)),
        spark=Sparkline(steps),
        allowed=Count(*of(Outcome.ALLOWED), links.to(window, {**DECISIONS, **ALLOWED})),
        denied=Count(*of(Outcome.DENIED), links.to(window, {**DECISIONS, **DENIED})),
        denied_share=percent(denied, whole),
        asked=Count(asked[0], asked[1], links.to(window, {"event": "consent.requested"})),
    )
