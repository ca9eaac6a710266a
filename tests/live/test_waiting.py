"""Hundreds of requests wait for an approval or for events: they get them, and do not slow others."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from tests.live.gate import Agent, Developer, Gate, Json, Person, expect
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
        self.developer: Developer = self.gate.developer()
        self.agent: Agent = self.gate.agent(self.developer)
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
    with parked(server, f"{asked.path}?wait=30", asked.headers, number) as clients:
        yield clients


@contextmanager
def parked(
    server: LiveServer, path: str, headers: dict[str, str], number: int, *, beside: int = 0
) -> Iterator[list[socket.socket]]:
    """Yield connections whose requests wait, once all are parked `beside` others."""
    lines = [f"GET /api/v1{path} HTTP/1.1", "Host: localhost", *(f"{name}: {headers[name]}" for name in headers)]
    request = "\r\n".join([*lines, "", ""]).encode()
    with ExitStack() as stack:
        clients = []
        while len(clients) < number:
            for _ in range(min(STEP, number - len(clients))):
                clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=40)))
                clients[-1].sendall(request)
            wait_until(lambda: Scraped(server).value("agentgate_parked") == beside + len(clients), seconds=10)
        yield clients


def answer(client: socket.socket) -> tuple[str, str]:
    """Return the head of the next response and the status of the approval in it."""
    head, document = received_by(client)
    return head, str(document["status"])


def received_by(client: socket.socket) -> tuple[str, Json]:
    """Return the head and the document of the next response."""
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        received += client.recv(65536) or b"\r\n\r\n}"
    head, _, body = received.decode().partition("\r\n\r\n")
    return head, json.loads(body)


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


def test_waiting_feeds_hold_no_thread_and_have_an_event_within_a_second(server: LiveServer, asked: Asked) -> None:
    gate, headers, others = asked.gate, asked.developer.headers, asked.gate.developer("Other").headers
    feed = "/events?types=agent.updated&wait=30&after="
    threads = [psutil.Process(worker.pid).num_threads() for worker in server.workers()]
    last, seconds = 0, []
    with parked(server, f"{feed}0", others, 1) as (other,):
        for name in ("One", "Two", "Three"):
            with parked(server, f"{feed}{last}", headers, 20, beside=1) as clients:
                now = [psutil.Process(worker.pid).num_threads() for worker in server.workers()]
                expect(200, gate.call("PATCH", f"/agents/{asked.agent.id}", {"name": name}, **headers))
                began = time.monotonic()
                pages = [received_by(client)[1] for client in clients]
                seconds.append(time.monotonic() - began)
            assert [each["data"]["event"] for page in pages for each in page["items"]] == ["agent.updated"] * 20
            assert all(after <= before + 1 for before, after in zip(threads, now, strict=True))
            last = pages[0]["next"]
        assert min(seconds) < 1, seconds
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.recv(1)


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
