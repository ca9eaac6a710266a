"""The results as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import results
from benchmarks.report import STORES, last_of, row, rule

MAX_P95_MS, MAX_QUERIES = 200, 13
# A policy's form has the most: three of its throttle, one of the room for it, three of its versions, three of scopes.
MAX_WRITE_QUERIES = 19
SLOWEST = 10

type Visits = Sequence[Mapping[str, Any]]


def may_ask(visit: Mapping[str, Any]) -> int:
    """Return how many queries a visit may need. A write locks and changes its rows one after another."""
    return MAX_WRITE_QUERIES if visit["kind"] == "write" else MAX_QUERIES


def summarize(visits: Visits) -> dict[str, Any]:
    """Return what a result keeps of a store's visits: the slowest, and the one with most queries."""
    return {
        "slowest": sorted(visits, key=lambda each: -each["p95_ms"])[:SLOWEST],
        "asking": max(visits, key=lambda each: each["queries"] / may_ask(each)),
    }


def goals(run: results.Run) -> Iterator[str]:
    """Yield each goal with the worst figure of each store."""
    stores = run["stores"].values()
    yield row("goal", "must", *(STORES[name] for name in run["stores"]))
    yield rule(2 + len(run["stores"]))
    slow = (_worst(each["slowest"][0], "p95_ms", MAX_P95_MS) for each in stores)
    yield row("p95 of every page, endpoint and write, in ms", f"≤ {MAX_P95_MS}", *slow)
    asking = (_worst(each["asking"], "queries", may_ask(each["asking"])) for each in stores)
    yield row("queries", f"≤ {MAX_QUERIES}, writes {MAX_WRITE_QUERIES}", *asking)


def slowest(run: results.Run) -> Iterator[str]:
    """Yield the visits that take longest on each store."""
    yield row("the slowest", "store", "p50 in ms", "p95 in ms", "queries")
    yield rule(5)
    for store, found in run["stores"].items():
        for each in found["slowest"]:
            times = (f"{each[name]:.0f}" for name in ("p50_ms", "p95_ms"))
            yield row(f"`{_name(each)}`", STORES[store], *times, str(each["queries"]))


TABLES = (goals, slowest)
BLOCKS = {f"benchmark_pages_{table.__name__}": last_of("pages", table) for table in TABLES}


def _worst(visit: Mapping[str, Any], measure: str, most: int) -> str:
    return f"{visit[measure]:.0f} (`{_name(visit)}`): {'met' if visit[measure] <= most else 'missed'}"


def _name(visit: Mapping[str, Any]) -> str:
    return f"{visit['kind']}: {visit['name']}".replace("|", r"\|")
