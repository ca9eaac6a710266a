"""Which tests `./dev test` runs on which of the two databases.

Tests that use the database of the test process run on SQLite, except those that commit: they are about transactions
beside each other, and run on PostgreSQL. On SQLite, one transaction that writes runs at a time
(`tests/core/test_sqlite_turns.py`). Those marked `postgresql` run on both: they are about SQL that differs between the
two, such as triggers, indexes and numbers of statements. Those marked `postgresql(only=True)` do not run on SQLite, and
those marked `on_sqlite` or `browser` not on PostgreSQL: these are about SQLite, or commit only because other threads or
processes read their rows.

Tests under `tests/live/` with a `live_store` can run on both. They run on PostgreSQL, and those in `LIVE_ON_BOTH` on
SQLite, too: they are about what survives a kill, who waits for whom, and what two processes may do only once.

A case that is left to the other database is marked `elsewhere`; `./dev soak` runs all of them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

STORES = ("sqlite", "postgresql")
# What a file has, or the conftest.py beside it, if some of its tests run on PostgreSQL.
MENTIONED = re.compile(r"transaction=|transactional_db|mark\.(postgresql|alone)")
CHOSEN = "live_store"
LIVE_ON_BOTH = ("durability", "evidence_under_faults", "revocation", "sequencer")
LIVE_ON_BOTH += ("direct_races", "reservations", "single_use")


def assign(items: Sequence[pytest.Item], store: str) -> None:
    """Mark the cases that run on the other database. `store` is that of the tests that do not choose theirs."""
    on_postgresql = {_test_of(item) for item in items if parameters(item).get(CHOSEN) == "postgresql"}
    for item in items:
        if store == "sqlite" and _is_on_postgresql_only(item):
            item.add_marker(pytest.mark.skip(reason="about PostgreSQL"))
        if _has(item, "elsewhere"):
            continue
        if CHOSEN in parameters(item):
            is_left = _is_on_sqlite_only_in_soak(item) and _test_of(item) in on_postgresql
        else:
            is_left = not _runs_on(store, item)
        if is_left:
            item.add_marker(pytest.mark.elsewhere)


def _is_on_sqlite_only_in_soak(item: pytest.Item) -> bool:
    return parameters(item)[CHOSEN] == "sqlite" and item.path.stem.removeprefix("test_") not in LIVE_ON_BOTH


def _test_of(item: pytest.Item) -> str:
    """Return what the cases of a test have in common."""
    return item.nodeid.partition("[")[0]


def _runs_on(store: str, item: pytest.Item) -> bool:
    if _has(item, "on_sqlite", "browser"):
        return store == "sqlite"
    if not _has(item, "postgresql", "alone"):
        return (store == "postgresql") == _commits(item)
    return store == "postgresql" or not _is_on_postgresql_only(item)


def _is_on_postgresql_only(item: pytest.Item) -> bool:
    return any(marker.kwargs.get("only") for marker in item.iter_markers("postgresql"))


def _commits(item: pytest.Item) -> bool:
    database = item.get_closest_marker("django_db")
    commits = database is not None and database.kwargs.get("transaction", False)
    if not commits and "transactional_db" not in getattr(item, "fixturenames", ()):
        return False
    if not may_need_postgresql(item.path):
        raise pytest.UsageError(f"`./dev test` does not look here for tests that commit: {item.path}")
    return True


def may_need_postgresql(file: Path) -> bool:
    """Return whether tests of the file can run on PostgreSQL: `./dev test` collects no other files there."""
    return any(_mentions_postgresql(each) for each in (file, file.with_name("conftest.py")))


@cache
def _mentions_postgresql(file: Path) -> bool:
    return file.exists() and MENTIONED.search(file.read_text()) is not None


def _has(item: pytest.Item, *markers: str) -> bool:
    return any(item.get_closest_marker(name) for name in markers)


def parameters(item: pytest.Item) -> Mapping[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}
