"""The geometry of charts. `web/portal/analytics/parts/chart.html` draws it.

A plot is `STEP` units wide per step and `HEIGHT` units high, and the browser stretches it. Because it stretches, all
text is HTML beside the SVG.
"""

from collections.abc import Sequence
from dataclasses import dataclass

STEP, GAP, HEIGHT = 10, 1, 100
# A value that is not zero has at least this height, so that it is visible.
LEAST = 1.0
# Of a sparkline. The highest bar leaves room for the line below it.
BAR, BOX, HIGHEST, LOWEST = 4, 24, 21, 2


@dataclass(frozen=True, slots=True)
class Plot:
    """What a chart draws: a path per series, the first at the bottom. `top` is the value at the upper edge."""

    paths: Sequence[str]
    width: int
    top: int


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`path` has a vertical line per number that is not zero, oldest first, in a box of `width` by `height`."""

    numbers: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.numbers)

    @property
    def most(self) -> int:
        """The highest number."""
        return max(self.numbers, default=0)

    @property
    def width(self) -> int:
        return BAR * len(self.numbers)

    @property
    def height(self) -> int:
        return BOX

    @property
    def path(self) -> str:
        bars = ((place, number) for place, number in enumerate(self.numbers) if number)
        return "".join(f"M{BAR * place + BAR // 2} {BOX - 1}v-{self._length(number)}" for place, number in bars)

    def _length(self, number: int) -> int:
        """Return the height of a bar. Even one decision among thousands stays visible."""
        return max(LOWEST, round(HIGHEST * number / self.most))


def stacked_bars(series: Sequence[Sequence[int]]) -> Plot:
    """Return bars in which the series are stacked. All have as many steps."""
    steps = len(series[0])
    top = nice_top(max(sum(column) for column in zip(*series, strict=True)))
    paths, heights = [], [0.0] * steps
    for numbers in series:
        parts = []
        for place, number in enumerate(numbers):
            if number:
                height = max(LEAST, HEIGHT * number / top)
                parts.append(_bar(place, heights[place], height))
                heights[place] += height
        paths.append("".join(parts))
    return Plot(paths, steps * STEP, top)


def bar_length(number: int, longest: int) -> str:
    """Return how long the bar of a number is, in percent of the longest, as SVG writes numbers."""
    return short(max(LEAST, HEIGHT * number / longest)) if number else "0"


def nice_top(highest: int) -> int:
    """Return the least of 1, 2, 3, 4, 5, 6, 8 and 10, times a power of ten, that is not lower."""
    power: int = 10 ** (len(str(highest)) - 1)
    return next(power * share for share in (1, 2, 3, 4, 5, 6, 8, 10) if power * share >= highest)


def short(value: float) -> str:
    """Return a number for SVG, with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def _bar(place: int, bottom: float, height: float) -> str:
    width = STEP - 2 * GAP
    top = HEIGHT - bottom - height
    return f"M{place * STEP + GAP} {short(max(0.0, top))}h{width}v{short(min(height, HEIGHT - bottom))}h-{width}z"
