"""The time and the queries of a visit."""

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from benchmarks.pages.visits import Visit

WARM_UP = 3
# They delimit transactions and take locks. All other statements read or write rows.
NO_QUERIES = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ", "SELECT pg_advisory_xact_lock")


def measure(visits: Iterable[Visit], times: int) -> list[dict[str, Any]]:
    """Make each visit `times` times. Return its times in milliseconds and its number of queries."""
    gc.collect()
    gc.freeze()  # as the server does, which would else look through all modules for garbage
    return [_measure(visit, times) for visit in visits]


def count_queries(visits: Iterable[Visit]) -> list[dict[str, Any]]:
    """Make each visit once, and return its number of queries. Raises `RuntimeError` if an answer is an error."""
    return [{"kind": each.kind, "name": each.name, "queries": _queries(each)} for each in visits]


def _measure(visit: Visit, times: int) -> dict[str, Any]:
    for _ in range(WARM_UP):
        _call(visit)
    queries = _queries(visit)
    found = sorted(_call(visit) for _ in range(times))
    return {
        "kind": visit.kind,
        "name": visit.name,
        "p50_ms": round(found[len(found) // 2], 1),
        "p95_ms": round(found[int(len(found) * 0.95)], 1),
        "queries": queries,
    }


def _queries(visit: Visit) -> int:
    given, statements = visit.prepare(), []

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return run(sql, *arguments)

    with connection.execute_wrapper(execute):
        _require_success(visit, visit.call(given))
    return sum(not sql.startswith(NO_QUERIES) for sql in statements)


def _call(visit: Visit) -> float:
    """Return the time in milliseconds. Raises `RuntimeError` if the answer is an error."""
    given = visit.prepare()
    began = time.perf_counter()
    answer = visit.call(given)
    elapsed = (time.perf_counter() - began) * 1000
    _require_success(visit, answer)
    return elapsed


def _require_success(visit: Visit, answer: Any) -> None:
    if answer.status_code >= 400:
        raise RuntimeError(f"{visit.kind} {visit.name}: {answer.status_code} {answer.content[:500]!r}")
