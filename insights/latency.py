"""How long decisions took, by hour, for the whole installation.

Each server process measures its decisions in a histogram in memory, as Prometheus reads it (`core.metrics`). Now and
then it adds what is new there to the hour's rows. So a decision itself writes nothing for this. A process that is
killed loses what it has measured since it saved last.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Case, Expression, Sum, Value, When

from core import clock
from core.locks import writing
from core.metrics import DECISION_BUCKETS, BulkHistogram, decision_seconds
from insights.models import Latency
from insights.windows import Window, floor_hour

MICROSECONDS = 1_000_000
# All but the last bound, which is `Latency.LONGER`.
BOUNDS = [round(seconds * MICROSECONDS) for seconds in DECISION_BUCKETS]


class Percentiles(NamedTuple):
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


def latency_numbers(window: Window, since: datetime) -> tuple[dict[int, int], list[Counter[int]]]:
    """Return the histogram of the time from `since` to the window, and the one of each step of the window.

    A histogram is the number of decisions by the upper bound of their time.
    """
    before: dict[int, int] = {}
    steps: list[Counter[int]] = [Counter() for _ in window.starts()]
    rows = Latency.objects.filter(start__gte=since, start__lt=window.until)
    # The database adds up the hours of each step, and what is before the window: a quarter has 30,000 rows.
    step = Case(When(start__lt=window.since, then=Value(None)), default=_step(window.starts()))
    placed = rows.annotate(place=step).values_list("place", "bound").order_by()
    for place, bound, number in placed.annotate(Sum("number")):
        (before if place is None else steps[place])[bound] = number
    return before, steps


def _step(starts: Sequence[datetime], first: int = 0) -> Expression:
    """Return the expression for the place of the step in which a row is. It halves the steps until one is left."""
    if len(starts) <= 1:
        return Value(first)
    half = len(starts) // 2
    earlier, later = _step(starts[:half], first), _step(starts[half:], first + half)
    return Case(When(start__lt=starts[half], then=earlier), default=later)


def together(histograms: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Return the histogram of all decisions."""
    found: Counter[int] = Counter()
    for numbers in histograms:
        found.update(numbers)
    return found


def percentiles(numbers: Mapping[int, int]) -> Percentiles | None:
    """Return the percentiles of a histogram, or None if it is empty."""
    total = sum(numbers.values())
    if not total:
        return None
    return Percentiles(*(_quantile(numbers, total * share / 100) for share in (50, 95, 99)))


def _quantile(numbers: Mapping[int, int], rank: float) -> float:
    """Return the time in seconds within which the fastest `rank` decisions were made."""
    below, lower = 0, 0
    for bound in BOUNDS:
        number = numbers.get(bound, 0)
        if number and below + number >= rank:
            return (lower + (bound - lower) * (rank - below) / number) / MICROSECONDS
        below, lower = below + number, bound
    return lower / MICROSECONDS


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
