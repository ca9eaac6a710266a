"""Read a server's metrics, and learn from them whether its event loop or Django answered."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live.gate import TLS
from tests.live.server import LiveServer

TOKEN = "f00d5e6d8b0a2c9f7135aa0b7c1d9e42"


class Scraped:
    """The samples of one scrape. The token is needed only if the server has one."""

    def __init__(self, server: LiveServer) -> None:
        response = httpx.get(
            f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, verify=TLS
        )
        assert response.status_code == 200, response.text
        families = text_string_to_metric_families(response.text)
        self.samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with these labels."""
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        return sum(found)

    @property
    def answered_by_django(self) -> Counter[tuple[str, str]]:
        """The number of responses of Django by route and class of status, without those of `/metrics`."""
        found: Counter[tuple[str, str]] = Counter()
        for each in self.samples:
            if each.name == "agentgate_http_seconds_count" and each.labels["route"] != "metrics":
                found[each.labels["route"], each.labels["status"]] += int(each.value)
        return found


@contextmanager
def answered_directly(server: LiveServer, by_django: int = 0) -> Iterator[None]:
    """Check that the event loop answers all requests inside the block, except for this number."""
    before = Scraped(server).answered_by_django
    yield
    found = Scraped(server).answered_by_django - before
    assert sum(found.values()) == by_django, f"Django answered {found}."


@contextmanager
def decided_directly(server: LiveServer) -> Iterator[None]:
    """Check that the event loop answers all requests for decisions inside the block. Django may answer others."""
    before = Scraped(server).answered_by_django
    yield
    found = Scraped(server).answered_by_django - before
    assert not any(route == "decision" for route, _ in found), f"Django answered {found}."
