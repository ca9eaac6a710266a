"""The metrics of several server processes add up, also over the death of one."""

from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live.server import LiveServer

TOKEN = "f00d5e6d8b0a2c9f7135aa0b7c1d9e42"


class Scraped:
    def __init__(self, server: LiveServer) -> None:
        response = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
        assert response.status_code == 200, response.text
        families = text_string_to_metric_families(response.text)
        self.samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with these labels."""
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        return sum(found)


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
