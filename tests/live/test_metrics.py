"""The metrics of several server processes add up, also over the death of one."""

from collections.abc import Callable

import httpx

from tests.live.metrics import TOKEN, Scraped
from tests.live.server import LiveServer


def test_processes_add_up_and_a_dead_one_still_counts(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2, METRICS_TOKEN=TOKEN)
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
