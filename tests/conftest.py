"""Fixtures of all tests: servers, the database and mails, and the isolation of tests from each other."""

import gc
import ssl
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import pytest
import sqlparse
from _pytest import runner
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import transaction
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.test import TransactionTestCase
from whitenoise.middleware import WhiteNoiseMiddleware

from developers.models import Developer
from tests.call_stack import in_one_piece
from tests.constants import CHEAP_ARGON2, FOLDERS_WITH_SERVERS, LIVE_FOLDERS
from tests.environment import SERVERS, Servers
from tests.flush import flush
from tests.migrated import copy_migrated
from tests.shared import forget_rows
from tests.split import GROUP
from tests.stores import assign, parameters
from tests.world import make_developer

HERE = Path(__file__).parent
NEED_DATABASE = {"db", "transactional_db", "store"}
# The groups that take longest begin first, so that no process runs one of them alone at the end.
LONGEST_GROUPS = (
    "web/browser",
    "live/test_running_it",
    "live/test_forgeries",
    "live/test_roles",
    "benchmarks/test_pages",
    "postgresql",
    "sdk/test_audit_package",
    "sdk",
    "sqlite",
)
# The fixtures that start a server for all tests of their folder.
SHARED_SERVERS = {"sdk": "sdk_server", "live/oauth": "server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that start their own servers, because they choose their store themselves, and others that need one."""
    turns: dict[pytest.Item, int] = {}
    for item in items:
        place = _place(item.path)
        if item.get_closest_marker("django_db") or NEED_DATABASE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)
        if place.parts[0] in LIVE_FOLDERS:
            item.add_marker(pytest.mark.live)
        elif _has(item, "live", "browser") and not _is_in(place, FOLDERS_WITH_SERVERS):
            raise pytest.UsageError(f"./dev test looks for such tests only in {FOLDERS_WITH_SERVERS}: {item.nodeid}")
        group = item.stash[GROUP] = _group(item)
        turns[item] = _turn(group)
    assign(items, config.getoption("--store"))
    items.sort(key=turns.__getitem__)


@cache
def _place(path: Path) -> Path:
    return path.relative_to(HERE)


@cache
def _is_in(place: Path, folders: tuple[str, ...]) -> bool:
    return any(map(place.is_relative_to, folders))


def _has(item: pytest.Item, *markers: str) -> bool:
    return any(item.get_closest_marker(name) for name in markers)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Do what pytest does, with memory for all calls."""
    return in_one_piece(runner.pytest_runtest_protocol, item, nextitem)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking through all modules and tests over and over."""
    gc.freeze()
    gc.set_threshold(20_000, 50)
    gc.enable()


def _group(item: pytest.Item) -> str:
    """Return what runs in one process: the tests that share a server or Chromium, or else those of a file."""
    place = _place(item.path)
    fixtures, chosen = getattr(item, "fixturenames", ()), parameters(item)
    if _is_in(place, ("web/browser",)):
        return "web/browser"
    if "shared_server" in fixtures:
        return str(chosen["live_store"])
    if SHARED_SERVERS.get(str(place.parent)) in fixtures:
        return str(place.parent)
    return f"{place} {chosen.get('live_store', '')}".strip()


@cache
def _turn(group: str) -> int:
    """Return the place of a group in the order in which groups begin."""
    return next((turn for turn, name in enumerate(LONGEST_GROUPS) if group.startswith(name)), len(LONGEST_GROUPS))


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    return pytestconfig.stash[SERVERS]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, servers: Servers) -> None:
    """Begin with a copy of a migrated database.

    SQLite's is a file, because threads that share a database in memory also share its locks.
    """
    test = settings.DATABASES["default"].setdefault("TEST", {})
    if _on_sqlite():
        path = servers.folder / "tests.db"
        copy_migrated(path)
        test["NAME"] = str(path)
    elif servers.postgres.template:
        test["TEMPLATE"] = servers.postgres.template


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether the test database exists, so that it is not made again."""
    return _on_sqlite()


def _on_sqlite() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _patient_cache() -> None:
    """Wait longer for Valkey, so that a busy machine does not change what a test counts."""
    if settings.REDIS_URL:
        settings.CACHES["default"]["OPTIONS"] |= {"SOCKET_TIMEOUT": 10, "SOCKET_CONNECT_TIMEOUT": 10}


@pytest.fixture
def developer(db: None) -> Developer:
    return make_developer("dev@example.com")


@pytest.fixture
def store(pytestconfig: pytest.Config) -> str:
    """Return the database of the tests in this process, "sqlite" or "postgresql"."""
    return str(pytestconfig.getoption("--store"))


@pytest.fixture
def mails(mailoutbox: list[object], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the mails sent so far. Mails that wait for a commit are sent at once."""
    monkeypatch.setattr(transaction, "on_commit", lambda work, using=None, robust=False: work())
    return mailoutbox


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    yield
    forget_rows()


@pytest.fixture(scope="session", autouse=True)
def _fast_flush() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: flush())
        yield


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Lower the cost of Argon2id, because hashing passwords would otherwise take most of the run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CHEAP_ARGON2.items():
            patch.setattr(Argon2PasswordHasher, name, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Let all HTTP clients share what they trust, because reading it takes each client 10 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_read_once() -> Iterator[None]:
    """Let all test clients share WhiteNoise's index, because otherwise each client reads every static file."""
    index: dict[str, object] = {}

    def add_files_from_finders(self: WhiteNoiseMiddleware) -> None:
        if not index:
            original(self)
            index.update(self.files)
        self.files.update(index)

    original = WhiteNoiseMiddleware.add_files_from_finders
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files_from_finders)
        yield


@pytest.fixture(scope="session", autouse=True)
def _statements_converted_once() -> Iterator[None]:
    """Remember SQLite's form of each statement, which Django searches for placeholders each time."""
    original = lru_cache(10_000)(SQLiteCursorWrapper.convert_query)

    def convert(cursor: SQLiteCursorWrapper, query: str, *, param_names: list[str] | None = None) -> str:
        return original(None, query, param_names=param_names and tuple(param_names))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteCursorWrapper, "convert_query", convert)
        yield


@pytest.fixture(scope="session", autouse=True)
def _tables_parsed_once() -> Iterator[None]:
    """Remember the parsed SQL of tables, which Django parses again for each question about their columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlparse, "parse", cache(sqlparse.parse))
        yield
