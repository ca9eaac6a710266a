"""Slow pages do not slow decisions, and a flood of decisions does not starve pages. The bounds suit a busy machine."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

import httpx
import pytest

from server.front.bounds import THREADS
from tests.live.gate import Gate
from tests.live.load import CostlyBodies, Load, MadeUpScopes
from tests.live.metrics import decided_directly
from tests.live.server import LiveServer
from tests.waiting import wait_until

StartServer = Callable[..., LiveServer]


def percentile(seconds: list[float], percent: int) -> float:
    return quantiles(seconds, n=100)[percent - 1]


def seconds_of(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def get(url: str) -> httpx.Response:
    answer = httpx.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def server(start_for_module: StartServer) -> LiveServer:
    return start_for_module(processes=1, DJANGO_SETTINGS_MODULE="tests.live.slow_settings")


def test_slow_pages_do_not_slow_decisions(server: LiveServer) -> None:
    with Load(server) as load, ThreadPoolExecutor(THREADS) as pool:
        began = time.monotonic()
        pages = list(pool.map(get, [f"{server.url}/slow/"] * THREADS))
        ended = time.monotonic()
    assert [page.text for page in pages] == ["at last"] * THREADS
    assert set(load.statuses()) == {200}
    during = [answer.seconds for answer in load.answers if began <= answer.asked <= ended]
    assert len(during) > 100
    assert percentile(during, 99) < 1


def test_slow_pages_of_one_address_keep_no_page_of_another_waiting(server: LiveServer) -> None:
    slow = httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=30)
    with slow, ThreadPoolExecutor(THREADS) as pool:
        pages = [pool.submit(slow.get, f"{server.url}/slow/") for _ in range(THREADS)]
        time.sleep(0.3)
        seconds = [seconds_of(lambda: get(f"{server.url}/accounts/login/")) for _ in range(3)]
        assert not any(page.done() for page in pages)
    assert max(seconds) < 1
    assert {page.result().status_code for page in pages} == {200}


def test_a_flood_of_decisions_does_not_starve_pages(server: LiveServer) -> None:
    gate = Gate(server.url)
    email, developer = gate.person().email, gate.developer()
    with Load(server, clients=2 * THREADS, pause=0):
        sign_ins = [seconds_of(lambda: gate.sign_in(email)) for _ in range(5)]
        writes = [seconds_of(lambda: gate.agent(developer)) for _ in range(5)]
        pages = [seconds_of(lambda: get(f"{server.url}/accounts/login/")) for _ in range(5)]
    assert percentile(sign_ins, 95) < 2
    assert percentile(writes, 95) < 2
    assert percentile(pages, 95) < 2


def test_a_flood_of_wrong_credentials_slows_neither_pages_nor_decisions(server: LiveServer) -> None:
    flood = Load(server, clients=2 * THREADS, secret="rs_wrong", pause=0)
    load = Load(server, clients=2)
    with decided_directly(server), flood, load:
        pages = [seconds_of(lambda: get(f"{server.url}/accounts/login/")) for _ in range(10)]
    assert set(flood.statuses()) == {401}
    assert set(load.statuses()) == {200}
    assert percentile(pages, 95) < 1
    assert percentile([answer.seconds for answer in load.answers], 99) < 1


@pytest.mark.soak
def test_costly_bodies_of_one_tenant_refuse_no_decision_to_another(start_server: StartServer) -> None:
    server = start_server(processes=1)
    with Load(server, clients=2) as load, CostlyBodies(server, clients=2 * THREADS, pause=0) as flood:
        for seconds in range(100, 115):
            config = {"maxRequests": 1_000_000, "windowSeconds": seconds, "scope": "per_user"}
            Gate(server.url).policy(flood.developer, "rate_limit", **config)
        time.sleep(8)  # longer than a decision may take
    assert set(load.statuses()) == {200}
    assert percentile([answer.seconds for answer in load.answers], 99) < 1


@pytest.mark.soak
def test_made_up_scopes_of_one_tenant_refuse_no_decision_to_another(start_server: StartServer) -> None:
    """The worker counts them while another tenant asks."""
    server = start_server(processes=1, THROTTLE_VERIFY="600/minute")
    load, flood = Load(server, clients=2), MadeUpScopes(server, tokens=10)
    with load:
        answers = [flood.ask_once(body) for body in flood.bodies]
        wait_until(lambda: server.database.count("audit_journal") < 50)
        server.manage("rebuild_rollups")
    # The first proves the secret. Until then, its cost counts for the IP address.
    assert answers == [200] * (1 + 6) + [429] * 3
    assert set(load.statuses()) == {200}
    assert max(answer.seconds for answer in load.answers) < 1
    assert server.database.count("insights_rollup", "kind = 'scope'") < 20
