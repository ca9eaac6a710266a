"""The outcomes of consent requests, and the scopes that users left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.entries.requests import Step
from insights.models import Kind
from insights.windows import Window
from web.portal.analytics.charts import HEIGHT, bar_lengths, short
from web.portal.analytics.counts import Count, highest, percent
from web.portal.analytics.links import Links, of_step
from web.portal.analytics.value_labels import Names, ValueLabel
from web.portal.logs.phrases import STEPS

type Totals = Mapping[Kind, Mapping[str, int]]

SCOPES_LISTED = 8


@dataclass(frozen=True, slots=True)
class FunnelBar:
    """A horizontal bar of the funnel, in percent of the chart, formatted for SVG."""

    style: str
    width: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of the requests. `share` is its share of all requests."""

    style: str
    label: str
    count: Count
    share: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scope that users left out, with the length of its bar and how often it was requested."""

    words: ValueLabel
    count: Count
    bar: str
    asked: Count
    share: str


@dataclass(frozen=True, slots=True)
class Consents:
    """The section of the page."""

    rows: Sequence[StepRow]
    bars: Sequence[FunnelBar]
    declined: Sequence[LeftOut]

    @property
    def asked(self) -> Count:
        """The requests."""
        return self.rows[0].count

    @property
    def is_empty(self) -> bool:
        return not any(row.count.number for row in self.rows)


def find_consents(window: Window, now: Totals, before: Totals, names: Names, links: Links) -> Consents:
    """Return the section. A request counts when it was made, and its answer when it was given."""
    counts, earlier = now[Kind.CONSENT], before[Kind.CONSENT]
    asked = counts.get(Step.ASKED, 0)
    rows = [
        StepRow(
            step.value,
            str(STEPS[step]),
            Count(counts.get(step, 0), earlier.get(step, 0), links.to(window, of_step(step))),
            "" if step is Step.ASKED else percent(counts.get(step, 0), asked),
        )
        for step in Step
    ]
    return Consents(rows, bars_of(counts), _left_out(window, now, before, names, links))


def bars_of(counts: Mapping[str, int]) -> list[FunnelBar]:
    """Return a bar for each step that occurred, at its place. The longest is as wide as the chart."""
    lengths, pitch = bar_lengths([counts.get(step, 0) for step in Step]), HEIGHT / len(Step)
    return [
        FunnelBar(step.value, length, short(place * pitch + 2), short(pitch - 4))
        for place, (step, length) in enumerate(zip(Step, lengths, strict=True))
        if counts.get(step)
    ]


def _left_out(window: Window, now: Totals, before: Totals, names: Names, links: Links) -> list[LeftOut]:
    counts, asked = now[Kind.DECLINED], now[Kind.ASKED]
    earlier, asked_before = before[Kind.DECLINED], before[Kind.ASKED]
    requested, shown = of_step(Step.ASKED), highest(counts, SCOPES_LISTED)
    return [
        LeftOut(
            names.scope(scope),
            Count(counts[scope], earlier.get(scope, 0), links.to(window, {"declined": scope})),
            bar,
            Count(asked.get(scope, 0), asked_before.get(scope, 0), links.to(window, {**requested, "scope": scope})),
            percent(counts[scope], asked.get(scope, 0)),
        )
        for scope, bar in zip(shown, bar_lengths([counts[scope] for scope in shown]), strict=True)
    ]
