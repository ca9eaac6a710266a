"""The time and the queries of a visit."""

import gc
import time
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.grown.visits import Visit

WARM_UP = 3
TIMES = 30
# Of a visit without a goal. There are many filters of the log, and each takes a third of a second.
TIMES_EXEMPT = 5
# They delimit transactions and take locks. Everything else that is sent to the database reads or writes rows.
NO_QUERIES = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ", "SELECT pg_advisory_xact_lock")


def measure(visits: Iterable[Visit], times: int = TIMES, warm_up: int = WARM_UP) -> list[dict[str, Any]]:
    """Make each visit, and return its times in milliseconds and its number of queries."""
    gc.collect()
    gc.freeze()  # as the server does, which would else look through all modules for garbage
    return [_measure(visit, times, warm_up) for visit in visits]


def count_queries(visits: Iterable[Visit]) -> list[dict[str, Any]]:
    """Make each visit once, and return its number of queries. Raises `RuntimeError` if an answer is an error."""
    return [
        {"kind": each.kind, "name": each.name, "queries": len(_queries(each, 0)), "exempt": each.exempt}
        for each in visits
    ]


def _measure(visit: Visit, times: int, warm_up: int) -> dict[str, Any]:
    for number in range(warm_up):
        _call(visit, number)
    queries = _queries(visit, warm_up)
    times = min(times, TIMES_EXEMPT) if visit.exempt else times
    found = sorted(_call(visit, warm_up + 1 + number) for number in range(times))
    return {
        "kind": visit.kind,
        "name": visit.name,
        "min_ms": round(found[0], 1),
        "p50_ms": round(found[len(found) // 2], 1),
        "p95_ms": round(found[int(len(found) * 0.95)], 1),
        "queries": len(queries),
        "exempt": visit.exempt,
    }


def _queries(visit: Visit, number: int) -> list[str]:
    visit.prepare(number)
    with CaptureQueriesContext(connection) as captured:
        _require_success(visit, visit.call(number))
        return [query["sql"] for query in captured if not query["sql"].startswith(NO_QUERIES)]


def _call(visit: Visit, number: int) -> float:
    """Return the time in milliseconds. Raises `RuntimeError` if the answer is an error."""
    visit.prepare(number)
    began = time.perf_counter()
    answer = visit.call(number)
    elapsed = (time.perf_counter() - began) * 1000
    _require_success(visit, answer)
    return elapsed


def _require_success(visit: Visit, answer: Any) -> None:
    if answer.status_code >= 400:
        raise RuntimeError(f"{visit.kind} {visit.name}: {answer.status_code} {answer.content[:500]!r}")
