"""Which tests `./dev test` runs on which of the two databases.

All tests that use the database of the test process run on SQLite. PostgreSQL also runs those that commit or write at
the same time, and those marked `postgresql`: they are about SQL that differs between the two, such as triggers, locks,
indexes and numbers of statements.

Tests under `tests/live/` with a `live_store` can run on both. Of the cases of such a test, and of the tests of a file,
every second runs on SQLite and the others on PostgreSQL. Those in `ON_BOTH` run on both. Those in `ON_POSTGRESQL` start
a server, about which the database matters little.

A case that is left to the other database is marked `elsewhere`; `./dev soak` runs all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest

STORES = ("sqlite", "postgresql")
CHOSEN = "live_store"
ON_BOTH = ("tests/live/test_revocation", "tests/live/test_reservations")
ON_POSTGRESQL = ("known_attacks", "metrics", "pre_hijacking", "start", "stopping", "tenant_isolation")
ON_POSTGRESQL += ("supervisor", "worker", "waiting.py::test_500_", "waiting.py::test_a_stop_")
ON_POSTGRESQL += (
    "logs",
    "verify_throttle",
    "forgeries.py::test_a_",
    "forgeries.py::test_more_",
    "forgeries.py::test_evidence_",
)
LEFT_TO_POSTGRESQL = tuple(f"tests/live/test_{name}" for name in ON_POSTGRESQL)


def assign(items: Iterable[pytest.Item], store: str) -> None:
    """Mark the cases that run on the other database. `store` is that of the tests that do not choose theirs."""
    for item in items:
        if CHOSEN not in parameters(item) and store == "postgresql" and not _needs_postgresql(item):
            item.add_marker(pytest.mark.elsewhere)
    _take_turns([item for item in items if CHOSEN in parameters(item)])


def _take_turns(items: Iterable[pytest.Item]) -> None:
    tests: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        chosen = str(parameters(item)[CHOSEN])
        if chosen == "sqlite" and item.nodeid.startswith(LEFT_TO_POSTGRESQL):
            item.add_marker(pytest.mark.elsewhere)
        elif not item.nodeid.startswith(ON_BOTH):
            tests[_turns_of(item)][chosen].append(item)
    for by_store in tests.values():
        for name, cases in by_store.items():
            if len(by_store) == len(STORES) and len(cases) > 1:
                _leave(cases, STORES.index(name))


def _needs_postgresql(item: pytest.Item) -> bool:
    database = item.get_closest_marker("django_db")
    commits = database is not None and database.kwargs.get("transaction", False)
    return commits or "transactional_db" in getattr(item, "fixturenames", ()) or _has(item, "postgresql", "alone")


def _has(item: pytest.Item, *markers: str) -> bool:
    return any(item.get_closest_marker(name) for name in markers)


def _turns_of(item: pytest.Item) -> str:
    """Return what is the same for the items that take turns: the test, or the file of tests without parameters."""
    name, bracket, _ = item.nodeid.partition("[")
    return name if bracket else item.nodeid.partition("::")[0]


def parameters(item: pytest.Item) -> Mapping[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _leave(cases: list[pytest.Item], turn: int) -> None:
    for number, case in enumerate(cases):
        if number % len(STORES) != turn:
            case.add_marker(pytest.mark.elsewhere)
