"""Clients whose documents never come: two workers wait for them, the other six serve."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.live.gate import Agent, Gate
from tests.live.oauth.door import Door
from tests.live.server import LiveServer


@pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)
def test_documents_that_never_come_leave_six_workers(start_server: Callable[..., LiveServer]) -> None:
    gate = Gate(start_server(processes=1, DJANGO_SETTINGS_MODULE="tests.live.oauth.with_hanging_names").url)
    urls = [Door(gate, Agent("", f"https://slow-{number}.example/c", "")).authorization_url() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        pending = [pool.submit(httpx.get, url, timeout=30) for url in urls]
        time.sleep(1)
        for _ in range(10):
            assert gate.get("/health").elapsed.total_seconds() < 3
        answers = [each.result() for each in pending]

    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 6
    assert all(answer.headers["Retry-After"] for answer in refused)
    assert all(answer.elapsed.total_seconds() < 4 for answer in refused)
    assert {answer.status_code for answer in answers if answer not in refused} == {400}
    assert max(answer.elapsed.total_seconds() for answer in answers) < 10
