"""Deals tests out to the two databases, so that `./dev test` need not run each of them on both.

The tests of a file take turns, and so do the cases of a parametrized test: the first runs on SQLite, the second on
PostgreSQL, and so on. Tests that write at the same time run on both, and so do those in `IN_FULL`, which are about what
differs. Those in `ON_POSTGRESQL` start a server, about which the database matters little.

A case that is left to the other database is marked `elsewhere`; `./dev soak` runs all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STORES = ("sqlite", "postgresql")
CHOSEN = "live_store"
# They are about triggers, locks, indexes and numbers of statements.
IN_FULL = ("audit/", "insights/", "limits/", "semantics/", "administration/test_evidence", "admin/test_joined")
IN_FULL += ("admin/test_search", "api/test_statements", "web/test_every_page")
IN_FULL += ("live/test_revocation", "live/test_reservations")
ON_POSTGRESQL = ("known_attacks", "metrics", "one_semantics", "pre_hijacking", "start", "stopping", "tenant_isolation")
ON_POSTGRESQL += ("supervisor", "worker", "waiting.py::test_500_", "waiting.py::test_a_stop_")
ON_POSTGRESQL += (
    "logs",
    "verify_throttle",
    "forgeries.py::test_a_",
    "forgeries.py::test_more_",
    "forgeries.py::test_evidence_",
)
LEFT_TO_POSTGRESQL = tuple(f"tests/live/test_{name}" for name in ON_POSTGRESQL)


def deal(items: Iterable[pytest.Item], store: str) -> None:
    """Mark the cases that run on the other database. `store` is that of the tests which do not choose theirs."""
    tests: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if parameters(item).get(CHOSEN) == "sqlite" and item.nodeid.startswith(LEFT_TO_POSTGRESQL):
            item.add_marker(pytest.mark.elsewhere)
        elif _is_dealt(item):
            tests[_turns_of(item)][str(parameters(item).get(CHOSEN, store))].append(item)
    for by_store in tests.values():
        for name, cases in by_store.items():
            runs_twice = len(by_store) == len(STORES) and len(cases) > 1
            if runs_twice or CHOSEN not in parameters(cases[0]):
                _leave(cases, STORES.index(name))


def _turns_of(item: pytest.Item) -> str:
    """Return what is the same for the items that take turns: the test, or the file of tests without parameters."""
    name, bracket, _ = item.nodeid.partition("[")
    return name if bracket else item.nodeid.partition("::")[0]


def parameters(item: pytest.Item) -> Mapping[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _is_dealt(item: pytest.Item) -> bool:
    if str(item.path.relative_to(HERE)).startswith(IN_FULL) or item.get_closest_marker("one_store"):
        return False
    database = item.get_closest_marker("django_db")
    if database and database.kwargs.get("transaction"):
        return False
    return CHOSEN in parameters(item) or item.get_closest_marker("database") is not None


def _leave(cases: list[pytest.Item], turn: int) -> None:
    for number, case in enumerate(cases):
        if number % len(STORES) != turn:
            case.add_marker(pytest.mark.elsewhere)
