"""The results as tables."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.report import STORES, last_of, row, rule

MAX_P95_MS, MAX_QUERIES = 200, 12
# Slower pages are listed, at most so many.
SLOW_MS, MOST_LISTED = 100, 40
GROUPS = {
    "developer/logs": "the log: filters, pages, live tail",
    "analytics": "analytics: each period, by each way",
    "admin": "the administrator's desk",
}
OTHERS = "the other pages of the portal"

type Visits = Sequence[Mapping[str, Any]]


def goals(run: results.Run) -> Iterator[str]:
    """Yield each goal with the worst figure of each store."""
    yield row("goal", "must", *(STORES[name] for name in run["stores"]))
    yield rule(2 + len(run["stores"]))
    for title, measure, most in (
        ("p95 of every page, in ms", "p95_ms", MAX_P95_MS),
        ("queries", "queries", MAX_QUERIES),
    ):
        yield row(title, f"≤ {most}", *(_worst(visits, measure, most) for visits in run["stores"].values()))


def groups(run: results.Run) -> Iterator[str]:
    """Yield how long the pages of each group take."""
    yield row("", "store", "number", "p50 in ms, median", "p95 in ms, median", "p95 in ms, highest", "most queries")
    yield rule(7)
    for title in (OTHERS, *GROUPS.values()):
        for store, visits in run["stores"].items():
            yield _summary(title, store, [each for each in visits if group_of(each) == title])


def slow(run: results.Run) -> Iterator[str]:
    """Yield the pages that take longest on a store, slowest first."""
    found = [(each, store) for store, visits in run["stores"].items() for each in visits if each["p95_ms"] > SLOW_MS]
    yield row(f"p95 above {SLOW_MS} ms", "store", "fastest in ms", "p50 in ms", "p95 in ms", "queries")
    yield rule(6)
    for each, store in sorted(found, key=lambda one: -one[0]["p95_ms"])[:MOST_LISTED]:
        times = [f"{each[measure]:.0f}" for measure in ("min_ms", "p50_ms", "p95_ms")]
        yield row(f"`{_name(each)}`", STORES[store], *times, str(each["queries"]))


TABLES = (goals, groups, slow)
BLOCKS = {f"benchmark_portal_{table.__name__}": last_of("portal", table) for table in TABLES}


def group_of(visit: Mapping[str, Any]) -> str:
    if visit["kind"] == "admin":
        return GROUPS["admin"]
    name = visit["name"].removeprefix("developer/") if "analytics" in visit["name"] else visit["name"]
    return next((title for start, title in GROUPS.items() if name.startswith(start)), OTHERS)


def _summary(title: str, store: str, visits: Visits) -> str:
    if not visits:
        return row(title, STORES[store], "0", "", "", "", "")
    middle = [f"{median(each[measure] for each in visits):.0f}" for measure in ("p50_ms", "p95_ms")]
    highest = [f"{max(each[measure] for each in visits):.0f}" for measure in ("p95_ms", "queries")]
    return row(title, STORES[store], str(len(visits)), *middle, *highest)


def _worst(visits: Visits, measure: str, most: int) -> str:
    worst = max(visits, key=lambda each: each[measure])
    verdict = "met" if worst[measure] <= most else "missed"
    return f"{worst[measure]:.0f} (`{_name(worst)}`): {verdict}"


def _name(visit: Mapping[str, Any]) -> str:
    return f"{visit['kind']}: {visit['name']}".replace("|", r"\|")
