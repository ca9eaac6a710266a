"""Hundreds of requests wait for an approval: they get its decision, and do not slow others."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from tests.live.gate import Agent, Gate, Person, expect
from tests.live.load import Load
from tests.live.metrics import Scraped, decided_directly
from tests.live.server import LiveServer
from tests.live.test_fairness import get, percentile, seconds_of
from tests.waiting import wait_until

StartServer = Callable[..., LiveServer]

NUMBER = 200
# Sent at once, so that the pool's queue has room.
STEP = 50
MAKE = """
from consent.models import Consent
from tests.approvals import make_approval
print(make_approval(Consent.objects.get(pk="{consent_id}"), scopes=["email:read"]).id)
"""


class Asked:
    """An agent of a new user, and an approval that waits for the user."""

    def __init__(self, server: LiveServer) -> None:
        self.gate = Gate(server.url)
        self.agent: Agent = self.gate.agent(self.gate.developer())
        self.person: Person = self.gate.person()
        consent_id = self.gate.tokens(self.agent, self.person)["consentId"]
        output = server.manage("shell", "--no-imports", "-c", MAKE.format(consent_id=consent_id))
        self.path = f"/approvals/{output.split()[-1]}"

    @property
    def headers(self) -> dict[str, str]:
        credentials = f"{self.agent.client_id}:{self.agent.client_secret}".encode()
        return {"Authorization": "Basic " + base64.b64encode(credentials).decode()}

    def status(self) -> str:
        return str(expect(200, self.gate.get(self.path, **self.headers))["status"])

    def approve(self) -> None:
        expect(200, self.gate.post(f"{self.path}/approve", **self.person.headers))


@contextmanager
def waiting(server: LiveServer, asked: Asked, number: int) -> Iterator[list[socket.socket]]:
    """Yield connections that wait for the approval, once all are parked."""
    lines = [f"GET /api/v1{asked.path}?wait=30 HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    request = "\r\n".join([*lines, "", ""]).encode()
    with ExitStack() as stack:
        clients = []
        while len(clients) < number:
            for _ in range(min(STEP, number - len(clients))):
                clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=40)))
                clients[-1].sendall(request)
            wait_until(lambda: Scraped(server).value("agentgate_parked") == len(clients), seconds=10)
        yield clients


def answer(client: socket.socket) -> tuple[str, str]:
    """Return the head of the next response and the status of the approval in it."""
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        received += client.recv(65536) or b"\r\n\r\n}"
    head, _, body = received.decode().partition("\r\n\r\n")
    return head, str(json.loads(body)["status"])


@pytest.fixture(scope="module")
def server(start_for_module: StartServer) -> LiveServer:
    return start_for_module(processes=2)


@pytest.fixture
def asked(server: LiveServer) -> Asked:
    return Asked(server)


def test_200_waiting_requests_slow_neither_decisions_nor_pages(server: LiveServer, asked: Asked) -> None:
    threads = [psutil.Process(worker.pid).num_threads() for worker in server.workers()]
    with waiting(server, asked, NUMBER) as clients:
        with decided_directly(server), Load(server, clients=4) as load:
            pages = [seconds_of(lambda: get(f"{server.url}/accounts/login/")) for _ in range(20)]
        now = [psutil.Process(worker.pid).num_threads() for worker in server.workers()]
        assert Scraped(server).value("agentgate_parked") == NUMBER
        began = time.monotonic()
        asked.approve()
        answers = [answer(client) for client in clients]
        seconds = time.monotonic() - began

    assert set(load.statuses()) == {200}
    assert percentile([each.seconds for each in load.answers], 99) < 1
    assert percentile(pages, 95) < 1
    assert all(after <= before + 1 for before, after in zip(threads, now, strict=True)), (
        "one thread per process watches"
    )
    assert {status for _, status in answers} == {"approved"}
    assert not any("park" in head.lower() for head, _ in answers)
    assert seconds < 20, "they are answered when it is decided, not when their wait ends"
    wait_until(lambda: Scraped(server).value("agentgate_parked") == 0, seconds=5)


def test_a_decision_in_one_process_is_answered_by_all(server: LiveServer, asked: Asked) -> None:
    without = f"{asked.gate.url}/api/v1{asked.path}?wait=0"
    assert seconds_of(lambda: httpx.get(without, headers=asked.headers).raise_for_status()) < 2
    with waiting(server, asked, 20) as clients:
        began = time.monotonic()
        asked.approve()
        assert [answer(client)[1] for client in clients] == ["approved"] * 20
        assert time.monotonic() - began < 5
        for client in clients:
            client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer(client)[1] == "ok"


def test_a_stop_answers_all_that_wait_and_what_waits_survives_it(server: LiveServer, asked: Asked) -> None:
    with waiting(server, asked, STEP) as clients:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 15
        assert [answer(client)[1] for client in clients] == ["pending"] * STEP
    server.start()
    assert asked.status() == "pending"
    asked.approve()
    assert asked.status() == "approved"
