"""How long decisions took, by hour, for the whole installation.

Each server process measures its decisions in a histogram in memory, as Prometheus reads it (`core.metrics`). Now and
then it adds what is new there to the hour's rows. So a decision itself writes nothing for this. A process that is
killed loses what it has measured since it saved last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from core import clock
from core.locks import writing
from core.metrics import BulkHistogram, decision_seconds
from insights.models import Latency
from insights.selectors import Window, floor_hour

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long decisions took, in seconds: half of them at most `p50`, 95 % at most `p95`, 99 % at most `p99`.

    They are estimates: within a bucket, times count as evenly distributed. No time is longer than the last bound.
    """

    p50: float
    p95: float
    p99: float


class Saver:
    """Saves what a histogram of this process measures."""

    def __init__(self, histogram: BulkHistogram = decision_seconds) -> None:
        self._histogram = histogram
        self._saved = histogram.numbers()

    def save(self) -> int:
        """Add what was measured since the last call to this hour. Return the number of decisions.

        Raises `DatabaseError` and `Busy`, after which the next call saves the same, too.
        """
        numbers = self._histogram.numbers()
        new = {bound: number - self._saved[bound] for bound, number in numbers.items() if number > self._saved[bound]}
        if new:
            _add({_stored(bound): number for bound, number in new.items()})
        self._saved = numbers
        return sum(new.values())


def latency_numbers(window: Window) -> list[dict[int, int]]:
    """Return the histogram of each step of the window: the number of decisions by the upper bound of their time."""
    steps: list[dict[int, int]] = [{} for _ in window.starts()]
    rows = Latency.objects.filter(start__gte=window.since, start__lt=window.until)
    for start, bound, number in rows.values_list("start", "bound", "number"):
        numbers = steps[(start - window.since) // window.step]
        numbers[bound] = numbers.get(bound, 0) + number
    return steps


def together(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the histogram of all decisions."""
    found: dict[int, int] = {}
    for numbers in histograms:
        for bound, number in numbers.items():
            found[bound] = found.get(bound, 0) + number
    return found


def percentiles(numbers: Mapping[int, int]) -> Percentiles | None:
    """Return the percentiles of a histogram, or None if it is empty."""
    total = sum(numbers.values())
    if not total:
        return None
    bounds = _finite_bounds()
    p50, p95, p99 = (_quantile(numbers, bounds, total * share / 100) for share in (50, 95, 99))
    return Percentiles(p50, p95, p99)


def _quantile(numbers: Mapping[int, int], bounds: Sequence[int], rank: float) -> float:
    """Return the time in seconds up to which so many decisions took."""
    below, lower = 0, 0
    for bound in bounds:
        number = numbers.get(bound, 0)
        if number and below + number >= rank:
            return (lower + (bound - lower) * (rank - below) / number) / MICROSECONDS
        below, lower = below + number, bound
    return lower / MICROSECONDS


def _finite_bounds() -> list[int]:
    return [_stored(bound) for bound in decision_seconds.numbers() if bound != float("inf")]


def _stored(bound: float) -> int:
    return Latency.LONGER if bound == float("inf") else round(bound * MICROSECONDS)


def _add(numbers: Mapping[int, int]) -> None:
    start = connection.ops.adapt_datetimefield_value(floor_hour(clock.now()))
    rows = [(start, bound, number) for bound, number in sorted(numbers.items())]
    places = ", ".join(["(%s, %s, %s)"] * len(rows))
    change = "ON CONFLICT (start, bound) DO UPDATE SET number = insights_latency.number + excluded.number"
    statement = f"INSERT INTO insights_latency (start, bound, number) VALUES {places} {change}"  # noqa: S608
    with writing(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [value for row in rows for value in row])
