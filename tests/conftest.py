"""The environment of all tests: SQLite, or with `--store=postgresql` a real PostgreSQL and Valkey."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pytest

from tests.servers import Postgres, Valkey

HERE = Path(__file__).parent
LIVE_FOLDERS = ("demo", "live", "sdk")
STORES = ("sqlite", "postgresql")
AMBIENT = ("DATABASE_URL", "DATABASE_PATH", "REDIS_URL", "API_URL", "ALLOWED_HOSTS", "DEBUG")
AMBIENT += ("JWT_ISSUER", "JWT_ALGORITHM", "TRUSTED_PROXIES", "VERIFY_REQUIRES_CREDENTIAL", "REQUIRE_VERIFIED_EMAIL")
SECRETS = {
    "JWT_SECRET": "tests-only-7f3b9c1d5e8a2046-signing",
    "SECRET_KEY": "tests-only-4e6d8b0a2c9f7135-django",
}


class Servers:
    """What this run has started; each server comes up when it is first asked for."""

    @cached_property
    def postgres(self) -> Postgres:
        return Postgres()

    @cached_property
    def valkey(self) -> Valkey:
        return Valkey()

    @cached_property
    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="agentgate-tests-"))

    def stop(self) -> None:
        started = vars(self)
        for name in ("postgres", "valkey"):
            if name in started:
                started[name].stop()
        if "folder" in started:
            shutil.rmtree(started["folder"], ignore_errors=True)


SERVERS = pytest.StashKey[Servers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=STORES,
        default=os.environ.get("TEST_STORE", "sqlite"),
        help="database of the tests that run in this process (live tests run on both)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before Django reads it: nothing of the caller's own configuration may leak in."""
    servers = config.stash[SERVERS] = Servers()
    config.add_cleanup(servers.stop)
    for name in list(os.environ):
        if name.removesuffix("_FILE") in AMBIENT or name.startswith("THROTTLE_"):
            del os.environ[name]
    os.environ.update(SECRETS)
    os.environ["DJANGO_SETTINGS_MODULE"] = "agentgate.settings"
    os.environ["DATABASE_PATH"] = str(servers.folder / "unused.db")
    (servers.folder / "static").mkdir()  # WhiteNoise warns if it is missing
    os.environ["STATIC_ROOT"] = str(servers.folder / "static")
    if config.getoption("--store") == "postgresql":
        os.environ["DATABASE_URL"] = servers.postgres.create_database()
        os.environ["REDIS_URL"] = servers.valkey.url

    import django

    django.setup()
    if config.getoption("--store") == "postgresql":
        _use_own_cache(servers.valkey.url)


def _use_own_cache(url: str) -> None:
    """Keep parallel workers from emptying each other's cache: they read the first process's environment too early.

    A busy machine may answer late, which must not change what a test counts.
    """
    from django.conf import settings

    cache = settings.CACHES["default"]
    settings.REDIS_URL = cache["LOCATION"] = url
    cache["OPTIONS"] |= {"SOCKET_TIMEOUT": 10, "SOCKET_CONNECT_TIMEOUT": 10}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers of its own: such tests choose their store themselves."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in LIVE_FOLDERS:
            item.add_marker(pytest.mark.live)


def pytest_report_header(config: pytest.Config) -> str:
    return f"store: {config.getoption('--store')}"


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    return pytestconfig.stash[SERVERS]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, servers: Servers) -> None:
    """Keep SQLite's test database in a file: in memory, racing threads would share one connection's locks."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(servers.folder / "tests.db")


@pytest.fixture
def store(pytestconfig: pytest.Config) -> str:
    """Name the database under the tests of this process."""
    return str(pytestconfig.getoption("--store"))


@pytest.fixture
def mails(mailoutbox: list[object], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the mails sent so far; what waits for a commit is sent at once."""
    from django.db import transaction

    monkeypatch.setattr(transaction, "on_commit", lambda work, using=None, robust=False: work())
    return mailoutbox


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    from django.core.cache import cache

    from limits import quick_throttle

    yield
    cache.clear()
    quick_throttle._memories.clear()
    quick_throttle._redis_rests_until = 0.0


@pytest.fixture(scope="session", autouse=True)
def _flushable_log() -> Iterator[None]:
    """Let the flush between transactional tests empty the log: as the tables' owner it lifts the triggers meanwhile."""
    from django.db import connection
    from django.test import TransactionTestCase

    from audit.triggers import install_statements, remove_statements

    def run(statements: Sequence[str]) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def flush(case: TransactionTestCase) -> None:
        run(remove_statements(connection.vendor))
        original(case)
        run(install_statements(connection.vendor))

    original = TransactionTestCase._fixture_teardown
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush)
        yield


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Keep Argon2id and lower its cost: at its real cost two passwords a test would take most of the run."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Argon2PasswordHasher, "time_cost", 1)
        patch.setattr(Argon2PasswordHasher, "memory_cost", 64)
        patch.setattr(Argon2PasswordHasher, "parallelism", 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_read_once() -> Iterator[None]:
    """Let all test clients share WhiteNoise's index: each client builds the middleware, which reads every file."""
    from whitenoise.middleware import WhiteNoiseMiddleware

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
