"""`authorize_on_loopback` against a running server: a thread decides through the API and follows the redirect."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from agentgate_oauth import AgentGateClient, AsyncAgentGateClient
from agentgate_oauth.errors import AuthorizationError, ConsentDeniedError

from tests.live.gate import Agent, Developer, Gate, Person, expect

SCOPES = ["email:read", "email:send"]


class Decision:
    """The user's decision, made when `webbrowser.open` is called."""

    def __init__(self, gate: Gate, person: Person) -> None:
        self.verb = "approve"
        self.body: dict[str, Any] = {}
        self.pages: list[httpx.Response] = []
        self._gate = gate
        self._person = person
        self._threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self._threads.append(threading.Thread(target=self._decide, args=(url.rsplit("/", 1)[1],)))
        self._threads[-1].start()
        return True

    def _decide(self, consent_id: str) -> None:
        answer = self._gate.post(f"/consent/{consent_id}/{self.verb}", self.body, **self._person.headers)
        self.pages.append(httpx.get(expect(200, answer)["redirectUrl"]))

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def decision(gate: Gate, person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decision]:
    decision = Decision(gate, person)
    monkeypatch.setattr("webbrowser.open", decision.open)
    yield decision
    decision.join()


@pytest.fixture
def command_line_agent(gate: Gate, developer: Developer) -> Agent:
    body = {"name": "Mailer", "redirectUris": ["http://127.0.0.1/callback"], "allowedScopes": SCOPES}
    answer = expect(201, gate.post("/agents", body, **developer.headers))
    return Agent(answer["id"], answer["clientId"], answer["clientSecret"])


@pytest.fixture
def program(gate: Gate, command_line_agent: Agent) -> Iterator[AgentGateClient]:
    with AgentGateClient(gate.url, command_line_agent.client_id, command_line_agent.client_secret) as client:
        yield client


def test_the_session_has_what_the_user_allowed(program: AgentGateClient, decision: Decision, person: Person):
    decision.body = {"scopes": ["email:read"]}
    session = program.authorize_on_loopback(scopes=SCOPES, reason="To sort your mail")
    assert (session.user_id, session.granted_scopes) == (person.id, ("email:read",))
    assert session.verify(["email:read"]).allowed
    assert session.verify(["email:send"]).reason == "insufficient_scope"
    decision.join()
    (page,) = decision.pages
    assert "You can close this window" in page.text


async def test_the_asynchronous_version_is_awaited(
    gate: Gate, command_line_agent: Agent, decision: Decision, person: Person
):
    credentials = (command_line_agent.client_id, command_line_agent.client_secret)
    async with AsyncAgentGateClient(gate.url, *credentials) as client:
        session = await client.authorize_on_loopback(scopes=SCOPES)
        assert session.user_id == person.id
        assert (await session.verify(["email:send"])).allowed


def test_a_denial_raises_consent_denied_error(program: AgentGateClient, decision: Decision):
    decision.verb = "deny"
    with pytest.raises(ConsentDeniedError):
        program.authorize_on_loopback(scopes=SCOPES)


def test_another_name_of_the_server_is_refused_before_the_user_decides(
    gate: Gate, command_line_agent: Agent, decision: Decision
):
    address = gate.url.replace("127.0.0.1", "localhost")
    with (
        AgentGateClient(address, command_line_agent.client_id, command_line_agent.client_secret) as client,
        pytest.raises(AuthorizationError, match=f"pass base_url='{gate.url}'"),
    ):
        client.authorize_on_loopback(scopes=SCOPES)
    assert decision.pages == []
