"""The results as tables."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.report import last_of, row, rule

# A policy's form has the most: three of its throttle, one of the room for it, three of its versions, three of scopes.
MAX_WRITE_QUERIES = 19
MAX_P95_MS, MAX_LOG_P95_MS, MAX_QUERIES, MIN_PER_SECOND, MAX_MB = 100, 50, 12, 2_000, 250
# The lists of the log, with a filter or a cursor (log_visits.py).
LOG_LISTS = ("developer/logs?", "activity?", "audit?", "users/me/audit-logs?", "admin/audit/entry?")
SLOWEST = 10

type Visits = Sequence[Mapping[str, Any]]


def goals(run: results.Run) -> Iterator[str]:
    """Yield each goal with the worst figure."""
    visits, sweeps, sign_ins = _counted(run), run["sweeps"], run["sign_ins"]
    slow, asking = _worst(visits, "p95_ms"), _worst(visits, "queries")
    slack = min(sweeps, key=lambda each: each["per_second"])
    yield row("goal", "must", "worst", "")
    yield rule(4)
    yield _goal("p95 of every page and endpoint", f"≤ {MAX_P95_MS} ms", _named(slow, "p95_ms"), _is_fast(slow))
    filters = [each for each in visits if each["name"].startswith(LOG_LISTS)]
    if filters:  # results from before the log had an index of its own have none
        slow = _worst(filters, "p95_ms")
        is_met = slow["p95_ms"] <= MAX_LOG_P95_MS
        name = f"p95 of each of {len(filters)} filters and cursors of the log"
        yield _goal(name, f"≤ {MAX_LOG_P95_MS} ms", _named(slow, "p95_ms"), is_met)
    terse = f"≤ {MAX_QUERIES}, writes {MAX_WRITE_QUERIES}"
    yield _goal("queries of every page and endpoint", terse, _named(asking, "queries"), all(map(_is_terse, visits)))
    rate = f"{slack['per_second']:,} ({slack['name']})"
    yield _goal("rows per second of each sweep", f"≥ {MIN_PER_SECOND:,}", rate, slack["per_second"] >= MIN_PER_SECOND)
    memory = max(run["visiting_mb"], sign_ins["after_mb"])
    yield _goal("memory of a process after the run", f"≤ {MAX_MB} MB", f"{memory} MB", memory <= MAX_MB)


def visits(run: results.Run) -> Iterator[str]:
    """Yield how long each kind of visit takes, and how many queries it needs."""
    yield row("", "number", "p50 in ms, median", "p95 in ms, median", "p95 in ms, highest", "most queries")
    yield rule(6)
    for kind in dict.fromkeys(each["kind"] for each in run["visits"]):
        yield _summary(kind, [each for each in _counted(run) if each["kind"] == kind])
    for reason in dict.fromkeys(each["exempt"] for each in run["visits"] if each["exempt"]):
        yield _summary(f"without a goal: {reason}", [each for each in run["visits"] if each["exempt"] == reason])


def slowest(run: results.Run) -> Iterator[str]:
    yield row("the slowest", "p50 in ms", "p95 in ms", "queries")
    yield rule(4)
    for each in sorted(_counted(run), key=lambda each: -each["p95_ms"])[:SLOWEST]:
        name = f"{each['kind']}: {each['name']}".replace("|", r"\|")
        yield row(f"`{name}`", f"{each['p50_ms']:.0f}", f"{each['p95_ms']:.0f}", str(each["queries"]))


def sweeps(run: results.Run) -> Iterator[str]:
    yield row("swept", "rows per second, pauses included")
    yield rule(2)
    for each in run["sweeps"]:
        yield row(each["name"], f"{each['per_second']:,}")


def sign_ins(run: results.Run) -> Iterator[str]:
    found = run["sign_ins"]
    yield row(f"{found['at_once']} sign-ins at once", "")
    yield rule(2)
    yield row("memory of the largest process before, at most, and after, in MB", _memory(found))
    yield row("memory of the process that made all visits, afterwards, in MB", f"{run['visiting_mb']}")
    yield row("signed in, refused with 503", f"{found['signed_in']}, {found['refused']}")
    yield row("seconds", f"{found['seconds']}")


TABLES = (goals, visits, slowest, sweeps, sign_ins)
BLOCKS = {f"benchmark_grown_{table.__name__}": last_of("grown", table) for table in TABLES}


def _counted(run: results.Run) -> Visits:
    """Return the visits that have a goal."""
    return [each for each in run["visits"] if not each["exempt"]]


def _worst(visits: Visits, measure: str) -> Mapping[str, Any]:
    return max(visits, key=lambda each: each[measure])


def _named(visit: Mapping[str, Any], measure: str) -> str:
    return f"{visit[measure]:.0f} ({visit['kind']}: `{visit['name']}`)"


def _is_fast(visit: Mapping[str, Any]) -> bool:
    return bool(visit["p95_ms"] <= MAX_P95_MS)


def may_ask(visit: Mapping[str, Any]) -> int:
    """Return how many queries a visit may need. A write locks and changes its rows one after another."""
    return MAX_WRITE_QUERIES if visit["kind"] == "write" else MAX_QUERIES


def _is_terse(visit: Mapping[str, Any]) -> bool:
    return bool(visit["queries"] <= may_ask(visit))


def _goal(name: str, must: str, worst: str, is_met: bool) -> str:
    return row(name, must, worst, "met" if is_met else "missed")


def _summary(name: str, visits: Visits) -> str:
    middle = [f"{median(each[measure] for each in visits):.0f}" for measure in ("p50_ms", "p95_ms")]
    highest = [f"{_worst(visits, measure)[measure]:.0f}" for measure in ("p95_ms", "queries")]
    return row(name, str(len(visits)), *middle, *highest)


def _memory(found: Mapping[str, Any]) -> str:
    return f"{found['before_mb']}, {found['highest_mb']}, {found['after_mb']}"
