"""The environment of all tests: SQLite or, with `--store=postgresql`, PostgreSQL and Valkey.

pyproject.toml loads this plugin with `-p`, so that it runs before pytest-django reads the settings. Test modules can
therefore import models at the top.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from functools import cached_property
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, settings

from tests.servers import Postgres, Valkey

STORES = ("sqlite", "postgresql")
# A folder in memory, and how many bytes must be free: the tests need about 2 GB.
MEMORY, ROOM = Path("/dev/shm"), 6_000_000_000
AMBIENT: tuple[str, ...] = ("DATABASE_URL", "DATABASE_PATH", "REDIS_URL", "API_URL", "API_PORT", "DEBUG")
AMBIENT += ("JWT_ISSUER", "JWT_ALGORITHM", "TRUSTED_PROXIES", "VERIFY_REQUIRES_CREDENTIAL", "REQUIRE_VERIFIED_EMAIL")
AMBIENT += ("ALLOWED_HOSTS", "METRICS_TOKEN", "PROMETHEUS_MULTIPROC_DIR", "AUDIT_ANCHOR_DIR", "AUDIT_WITNESSES")
AMBIENT += ("AUDIT_ARCHIVE_AFTER_MONTHS", "AUDIT_ARCHIVE_DIR", "AUDIT_ARCHIVE_BUCKET", "AUDIT_ARCHIVE_PREFIX")
AMBIENT += ("AUDIT_SEQUENCER_DATABASE_URL", "AUDIT_ARCHIVER_DATABASE_URL")
SECRETS = {
    "JWT_SECRET": "tests-only-7f3b9c1d5e8a2046-signing",
    "SECRET_KEY": "tests-only-4e6d8b0a2c9f7135-django",
}

# A commit that passed must pass again, also on a busy machine: Hypothesis tries the same examples in each run, however
# long they take. With `--hypothesis-profile=search`, which ./dev soak sets, each run tries others, and eight times as
# many.
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", SLOWLY, max_examples=50, derandomize=True, database=None)
settings.register_profile("search", SLOWLY, max_examples=400)
settings.load_profile("same")


class Servers:
    """The servers of this process. Each is started when it is first used."""

    @cached_property
    def postgres(self) -> Postgres:
        return Postgres()

    @cached_property
    def valkey(self) -> Valkey:
        return Valkey(database=worker_number())

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


def worker_number() -> int:
    """Return 1, 2, … in the processes of `tests/split.py` and 0 elsewhere."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return int(worker.removeprefix("gw")) + 1 if worker.startswith("gw") else 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=STORES,
        default=os.environ.get("TEST_STORE", "sqlite"),
        help="database of the tests that run in this process (live tests run on both)",
    )


def use_memory() -> None:
    """Keep temporary files in memory if there is room, because SQLite waits for the disk at each commit.

    No test needs a disk: what a killed process has written stays in memory, too.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    if min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def use_own_folder(servers: Servers) -> None:
    """Let the settings name the folder of this process."""
    os.environ["DATABASE_PATH"] = str(servers.folder / "unused.db")
    os.environ["AUDIT_ANCHOR_DIR"] = str(servers.folder / "anchors")
    if django_settings.configured:
        django_settings.AUDIT_ANCHOR_DIR = servers.folder / "anchors"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Set the environment, and remove the caller's own configuration from it."""
    use_memory()
    # While tests are collected, it would look through ever more modules, which all stay, for a tenth of the time.
    gc.disable()
    servers = early_config.stash[SERVERS] = Servers()
    early_config.add_cleanup(servers.stop)
    for name in list(os.environ):
        if name.removesuffix("_FILE") in AMBIENT or name.startswith("THROTTLE_"):
            del os.environ[name]
    os.environ |= {**SECRETS, "DJANGO_SETTINGS_MODULE": "agentgate.settings"}
    (servers.folder / "static").mkdir()  # WhiteNoise warns if it is missing
    os.environ["STATIC_ROOT"] = str(servers.folder / "static")
    use_own_folder(servers)
    if early_config.known_args_namespace.store == "postgresql":
        os.environ["DATABASE_URL"] = servers.postgres.create_database()
        os.environ["REDIS_URL"] = servers.valkey.url
        if servers.postgres.template:
            os.environ["TEST_DATABASE_TEMPLATE"] = servers.postgres.template
        os.environ["TEST_DATABASE_URL"] = servers.postgres.url  # the processes of a run share it
    yield


def pytest_report_header(config: pytest.Config) -> str:
    return f"store: {config.getoption('--store')}"
