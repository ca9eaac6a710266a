"""Failures lose nothing that was acknowledged and allow nothing that should be denied."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from tests.live.gate import Gate, Json, expect
from tests.live.metrics import decided_directly
from tests.live.server import LiveServer
from tests.servers import Valkey
from tests.waiting import wait_until

StartServer = Callable[..., LiveServer]
VERIFIERS = 8
PAUSE_SECONDS = 0.01


class Burst:
    """Threads that send verify requests until the block ends. Connection errors are ignored."""

    def __init__(self, gate: Gate, token: str, *scopes: str) -> None:
        self.answers: list[httpx.Response] = []
        self._gate, self._token, self._scopes = gate, token, list(scopes or ("email:read",))
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(VERIFIERS)]

    def _run(self) -> None:
        body = {"token": self._token, "requiredScopes": self._scopes}
        while not self._done.is_set():
            with suppress(httpx.TransportError):
                self.answers.append(self._gate.post("/tokens/verify", body))
            time.sleep(PAUSE_SECONDS)

    def decisions(self) -> list[Json]:
        return [answer.json() for answer in self.answers if answer.status_code == 200]

    def wait_for_more(self, number: int) -> None:
        """Wait until `number` more decisions have been returned."""
        goal = len(self.decisions()) + number
        wait_until(lambda: len(self.decisions()) >= goal)

    def __enter__(self) -> "Burst":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def server(start_for_module: StartServer) -> LiveServer:
    return start_for_module(processes=2)


def check_kills_lose_nothing(server: LiveServer, kills: int) -> None:
    """Kill server processes under load, and check that every returned decision is in the log."""
    gate = Gate(server.url)
    developer, person = gate.developer(), gate.person()
    token = gate.tokens(gate.agent(developer), person)["accessToken"]

    with decided_directly(server):
        with Burst(gate, token) as burst:
            for _ in range(kills):
                burst.wait_for_more(30)
                server.kill_a_worker()
            burst.wait_for_more(30)
        server.wait_until_healthy()

    answered = {decision["auditId"] for decision in burst.decisions()}
    logged = {entry["id"] for entry in gate.entries(developer, event="token.verify")}
    assert len(answered) > 50
    assert answered <= logged, f"{len(answered - logged)} of {len(answered)} returned decisions were lost"
    assert {answer.status_code for answer in burst.answers} <= {200, 503}


def test_killing_processes_under_load_loses_no_returned_decision(server: LiveServer) -> None:
    check_kills_lose_nothing(server, kills=2)


@pytest.mark.soak
def test_killing_many_processes_under_load_loses_no_returned_decision(server: LiveServer) -> None:
    check_kills_lose_nothing(server, kills=20)


def test_acknowledged_changes_survive_a_restart(server: LiveServer) -> None:
    gate = Gate(server.url)
    agent, person = gate.agent(gate.developer()), gate.person()
    used = gate.tokens(agent, person)
    fresh = expect(200, gate.refresh(agent, used["refreshToken"]))
    revoked = gate.tokens(agent, gate.person())
    expect(200, gate.post("/tokens/revoke", {"token": revoked["accessToken"]}))

    server.restart()
    gate = Gate(server.url)

    with decided_directly(server):
        assert gate.verify(fresh["accessToken"])["allowed"] is True
        assert gate.verify(revoked["accessToken"])["reason"] == "token_revoked"
    assert gate.refresh(agent, used["refreshToken"]).status_code == 400, "a used token stays used after a restart"


@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
def test_losing_redis_under_load_allows_nothing_more(start_server: StartServer) -> None:
    valkey = Valkey()
    server = start_server(processes=2, REDIS_URL=valkey.url)
    gate = Gate(server.url)
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    gate.policy(developer, "rate_limit", agent=agent, maxRequests=30, windowSeconds=3600, scope="per_agent")
    tokens, other = gate.tokens(agent, person), gate.tokens(gate.agent(developer), person)
    try:
        with decided_directly(server), Burst(gate, tokens["accessToken"], "email:read") as burst:
            burst.wait_for_more(10)
            valkey.kill()
            expect(200, gate.post("/tokens/revoke", {"token": other["accessToken"]}))
            assert gate.verify(other["accessToken"])["allowed"] is False
            burst.wait_for_more(30)
            valkey.start()
            burst.wait_for_more(30)
    finally:
        valkey.stop()

    assert sum(decision["allowed"] for decision in burst.decisions()) == 30, "no second quota"
    assert {answer.status_code for answer in burst.answers} <= {200, 503}
    assert max(answer.elapsed.total_seconds() for answer in burst.answers) < 10
    assert gate.verify(other["accessToken"])["allowed"] is False
