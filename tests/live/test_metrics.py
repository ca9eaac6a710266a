"""The metrics of several server processes add up, also over the death of one."""

from collections.abc import Callable

import httpx
import pytest

from tests.live.gate import Gate, registration
from tests.live.metrics import TOKEN, Scraped
from tests.live.server import LiveServer
from tests.waiting import wait_until
from tests.watching import expressions, metrics_in


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., LiveServer], tmp_path_factory: pytest.TempPathFactory) -> LiveServer:
    """Start a server that has a backup, and lets each address register once."""
    backups = tmp_path_factory.mktemp("backups")
    (backups / "agentgate.dump").write_text("data")
    once = {"BACKUP_DIR": str(backups), "THROTTLE_REGISTRATION": "1/hour"}
    return start_for_module(processes=2, METRICS_TOKEN=TOKEN, **once)


def test_processes_add_up_and_a_dead_one_still_counts(server: LiveServer) -> None:
    before = Scraped(server).value("agentgate_http_seconds_count", route="api")
    read_scopes(server, 40)
    assert Scraped(server).value("agentgate_http_seconds_count", route="api") == before + 40

    server.kill_a_worker()
    server.wait_until_healthy()
    read_scopes(server, 10)
    assert Scraped(server).value("agentgate_http_seconds_count", route="api") == before + 50


def read_scopes(server: LiveServer, times: int) -> None:
    """Send each request on a connection of its own, so that all processes get some."""
    for _ in range(times):
        assert httpx.get(f"{server.url}/api/v1/scopes", timeout=20).status_code == 200


def test_the_dashboard_and_the_alerts_name_what_a_server_publishes(server: LiveServer) -> None:
    gate = Gate(server.url)
    developer = gate.developer()
    assert gate.post("/users/register", registration("Ada", "ada@example.com")).status_code == 429
    gate.verify("not-one-of-ours")
    gate.get("/agents", **developer.headers)
    httpx.get(f"{server.url}/oauth/jwks", timeout=20)
    httpx.get(f"{server.url}/api/v1/scopes", headers={"X-Long": "x" * 70_000}, timeout=20)
    named = set().union(*map(metrics_in, expressions()))

    wait_until(lambda: named <= names(server), lambda: str(named - names(server)), 10)


def names(server: LiveServer) -> set[str]:
    return {sample.name for sample in Scraped(server).samples}
