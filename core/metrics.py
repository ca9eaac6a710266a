"""What the server counts and measures. `server/metrics.py` publishes it for Prometheus.

In the server, each process writes its numbers to files that all processes can read (`PROMETHEUS_MULTIPROC_DIR`), which
costs about 1 µs per number. Code that handles many items at once therefore reports them at once (`report_batch`), and
labels are looked up once.
"""

import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

DECISION_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

ALLOWED = "allowed"


class BulkHistogram(Histogram):
    """A histogram that observes many values at the cost of a few."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        bounds, buckets = self._upper_bounds, self._buckets
        self._sum.inc(sum(amounts))
        for index, number in _tally([bisect_left(bounds, amount) for amount in amounts]).items():
            buckets[index].inc(number)


decisions = Counter("agentgate_decisions", "Decisions by outcome and reason.", ["outcome", "reason"])
decision_seconds = BulkHistogram(
    "agentgate_decision_seconds", "Time from a question to its decision.", buckets=DECISION_BUCKETS
)
batch_size = Histogram("agentgate_batch_size", "Questions decided together.", buckets=SIZE_BUCKETS)
queue_length = Gauge("agentgate_queue_length", "Questions that wait for a decision.", multiprocess_mode="livesum")
refused_questions = Counter("agentgate_refused_questions", "Questions refused with 503, by cause.", ["cause"])
store_errors = Counter("agentgate_store_errors", "Errors of the decisions' database, by kind.", ["kind"])

# An alert about a rate does not see the first value of a series, so these begin at 0.
for _cause in ("full", "deadline"):
    refused_questions.labels(_cause)
for _kind in ("connection", "timeout", "statement"):
    store_errors.labels(_kind)

sequenced_entries = Counter("agentgate_sequenced_entries", "Entries moved from the journal into the log.")
sequencer_lag = Gauge(
    "agentgate_sequencer_lag_seconds", "Age of the oldest entry of the last run.", multiprocess_mode="livemostrecent"
)
sequencer_ran_at = Gauge(
    "agentgate_sequencer_last_run_timestamp_seconds", "When the sequencer last ran.", multiprocess_mode="livemostrecent"
)
damaged_rows = Gauge(
    "agentgate_damaged_journal_rows",
    "Rows of the journal that the sequencer cannot read.",
    multiprocess_mode="livemostrecent",
)

http_seconds = Histogram(
    "agentgate_http_seconds",
    "Time that a thread takes for a request, by kind of path and class of status.",
    ["route", "status"],
    buckets=HTTP_BUCKETS,
)
front_refusals = Counter("agentgate_front_refusals", "Requests refused before Django saw them.", ["status"])
processes = Gauge("agentgate_processes", "Server processes.", multiprocess_mode="livesum")
connections = Gauge("agentgate_connections", "Open connections of clients.", multiprocess_mode="livesum")
pool_waiting = Gauge("agentgate_pool_waiting", "Requests that wait for a thread.", multiprocess_mode="livesum")
parked = Gauge(
    "agentgate_parked",
    "Requests that wait for an approval or for events, without a thread.",
    multiprocess_mode="livesum",
)
throttled = Counter("agentgate_throttled", "Attempts refused by a throttle.", ["throttle"])


def report_batch(reasons: Collection[str | None], seconds: Sequence[float]) -> None:
    """Report decisions that were made together: the reason of each, None if allowed, and how long each took."""
    batch_size.observe(len(reasons))
    decision_seconds.observe_all(seconds)
    for reason, number in _tally(reasons).items():
        _decisions_with(reason).inc(number)


def report_unknown_tokens(number: int) -> None:
    """Report denials of tokens that we did not sign, which need no batch."""
    if number:
        _decisions_with("invalid_token").inc(number)


def report_refused_question(cause: str, number: int = 1) -> None:
    """Report questions that were refused with 503: the queue was `full`, or a `deadline` passed."""
    refused_questions.labels(cause).inc(number)


def report_store_error(kind: str) -> None:
    """Report an error of the database: a lost `connection`, a `timeout`, or a failed `statement`."""
    store_errors.labels(kind).inc()


def report_sequencer(lag_seconds: float, damaged: int) -> None:
    """Report a run of the sequencer, even if it found no entry. `damaged` rows stay in the journal."""
    sequencer_lag.set(lag_seconds)
    sequencer_ran_at.set(time.time())
    damaged_rows.set(damaged)


def report_damaged(rows: int) -> None:
    """Report how many rows stay in the journal, as soon as another one is found."""
    damaged_rows.set(rows)


def report_sequenced(entries: int) -> None:
    """Report entries that were moved into the log."""
    if entries:
        sequenced_entries.inc(entries)


def report_http(route: str, status: int, seconds: float) -> None:
    """Report a response that a thread has made. `route` must be one of a few words."""
    _http_seconds_of(route, status // 100).observe(seconds)


def report_front_refusal(status: int) -> None:
    """Report a request that the front refused."""
    _front_refusals_with(status).inc()


def report_throttled(throttle: str, number: int = 1) -> None:
    """Report attempts that a throttle of this name refused."""
    throttled.labels(throttle).inc(number)


def _tally[Item](items: Iterable[Item]) -> dict[Item, int]:
    """Return how often each item occurs. `collections.Counter` takes twice as long for so few."""
    counts: dict[Item, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


@cache
def _decisions_with(reason: str | None) -> Counter:
    return decisions.labels(ALLOWED, "") if reason is None else decisions.labels("denied", str(reason))


@cache
def _http_seconds_of(route: str, hundreds: int) -> Histogram:
    return http_seconds.labels(route, f"{hundreds}xx")


@cache
def _front_refusals_with(status: int) -> Counter:
    return front_refusals.labels(str(status))
