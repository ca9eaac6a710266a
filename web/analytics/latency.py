"""How long decisions took: the chart, and the table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from insights.latency import Percentiles, latency_numbers, percentiles, together
from insights.windows import Window
from web.analytics.breakdown import axis
from web.analytics.charts import Plot, lines
from web.analytics.periods import Period, step_name
from web.formats import number

LABELS = Percentiles._fields
TENTHS_BELOW = 10


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """A percentile of the period, and of the one before. `swatch` is its series in the chart."""

    label: str
    now: str
    before: str
    swatch: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """The section of the page. `steps` has the name of each step that was measured, and its percentiles."""

    plot: Plot
    top: str
    rows: Sequence[LatencyRow]
    steps: Sequence[tuple[str, Sequence[str]]]
    axis: Sequence[str]


def find_latencies(period: Period, window: Window) -> Latencies | None:
    """Return the section, or None if no decision was measured. One query, for both periods."""
    earlier, numbers = latency_numbers(window, window.since - period.length)
    total = percentiles(together(numbers))
    if total is None:
        return None
    found = [percentiles(one) for one in numbers]
    plot = lines([[one[place] if one else None for one in found] for place in range(len(LABELS))])
    starts = window.starts()
    return Latencies(
        plot,
        in_milliseconds(plot.top),
        _rows(total, percentiles(earlier)),
        [(step_name(start, window.step), _values(one)) for start, one in zip(starts, found, strict=True) if one][::-1],
        axis(window),
    )


def in_milliseconds(seconds: float) -> str:
    """Return the time in words, in milliseconds, with a tenth if it is short."""
    milliseconds = seconds * 1000
    rounded = round(milliseconds, 1) if milliseconds < TENTHS_BELOW else round(milliseconds)
    return _("%(number)s ms") % {"number": number(rounded)}


def _rows(total: Percentiles, before: Percentiles | None) -> list[LatencyRow]:
    earlier = _values(before) if before else ["-"] * len(LABELS)
    triples = zip(LABELS, _values(total), earlier, strict=True)
    return [LatencyRow(label, now, then, swatch) for swatch, (label, now, then) in enumerate(triples, 1)]


def _values(one: Percentiles) -> list[str]:
    return [in_milliseconds(seconds) for seconds in one]
