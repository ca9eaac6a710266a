"""Messages of the server and the worker when they start, on both stores."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests import preloaded
from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.server import ON_SQLITE, START_SECONDS, Database, Databases, LiveServer, full, manage
from tests.servers import free_port

MODULES = {"server": "server.main", "worker": "server.worker"}
OTHER_SECRET = "9d1c4b7e0a3f62589d1c4b7e0a3f6258"
DOES_NOT_OPEN = "The stored signing keys do not open with this JWT_SECRET."


@pytest.fixture
def unmigrated(live_store: str, servers: Servers, tmp_path: Path) -> Database:
    if live_store == "postgresql":
        return Database({"DATABASE_URL": servers.postgres.create_database(), "REDIS_URL": servers.valkey.url})
    (tmp_path / "new.db").touch()
    return Database({**ON_SQLITE, "DATABASE_PATH": str(tmp_path / "new.db")})


def start(process: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a process that must end by itself."""
    return preloaded.run(["-m", MODULES[process]], full({**environment, "API_PORT": str(free_port())}))


# `tests/server/test_start.py` shows that the worker makes these checks, too.


def test_the_server_does_not_start_without_migrations(unmigrated: Database) -> None:
    ended = start("server", unmigrated.environment)

    assert ended.returncode == 1
    assert ended.stderr.startswith("agentgate: the database lacks ")
    assert ended.stderr.endswith("; run ./dev manage migrate\n")
    assert len(ended.stderr.splitlines()) == 1


def test_a_single_missing_migration_stops_the_start(live_store: str, databases: Databases, servers: Servers) -> None:
    database = new_database(live_store, databases, servers)
    manage(database.environment, "migrate", "admin", "0002", "--verbosity", "0")

    assert "the database lacks 1 migration; " in start("server", database.environment).stderr


def test_unsafe_settings_stop_the_worker(live_store: str, databases: Databases, servers: Servers) -> None:
    database = new_database(live_store, databases, servers)
    ended = start("worker", {**database.environment, "TRUSTED_PROXIES": "0.0.0.0/0", "THROTTLE_VERIFY": "many"})

    assert ended.returncode == 1
    assert "TRUSTED_PROXIES" in ended.stderr
    assert "THROTTLE_VERIFY" in ended.stderr
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["agentgate"] * 2


@pytest.mark.parametrize("process", ["server", pytest.param("worker", marks=pytest.mark.soak)])
def test_an_unavailable_database_is_logged_and_does_not_stop_the_start(process: str, tmp_path: Path) -> None:
    """The server returns 503 until the database is available again."""
    url = f"postgresql://gate:{OTHER_SECRET}@127.0.0.1:{free_port()}/gate"
    environment = {"DATABASE_URL": url, "REDIS_URL": "", "DATABASE_PATH": str(tmp_path / "gate.db")}
    environment["API_PORT"] = str(free_port())
    with (tmp_path / "log").open("wb") as log:
        running = preloaded.start(["-m", MODULES[process]], full(environment), log, log)
    started = {"server": "Listening on ", "worker": " ready."}[process]
    deadline = time.monotonic() + START_SECONDS
    while started not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
        time.sleep(0.2)
    running.terminate()
    running.wait(START_SECONDS)

    text = (tmp_path / "log").read_text()
    assert started in text, text
    assert "The database does not answer: " in text
    assert OTHER_SECRET not in text


def test_the_imports_read_no_setting_that_differs_between_servers(shared_server: LiveServer) -> None:
    """Otherwise each server of the tests would start from nothing, which takes six times as long."""
    assert "tests.forking_servers" in psutil.Process(shared_server.pid).cmdline()


def test_the_server_logs_its_address_and_keys_that_it_cannot_decrypt_until_there_is_a_new_one(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(processes=1, API_URL="http://localhost:8000")
    assert f"Listening on {server.url}. Public URL (API_URL): http://localhost:8000" in server.log_text()
    keys(server)
    assert DOES_NOT_OPEN not in server.log_text()

    server.environment["JWT_SECRET"] = OTHER_SECRET
    server.restart()
    assert server.log_text().count(DOES_NOT_OPEN) == 1
    keys(server)
    server.restart()
    assert server.log_text().count(DOES_NOT_OPEN) == 1
    assert OTHER_SECRET not in server.log_text()


def keys(server: LiveServer) -> None:
    """Get the published keys. This creates one if none can be decrypted."""
    assert httpx.get(f"{server.url}/oauth/jwks", timeout=10).json()["keys"]
