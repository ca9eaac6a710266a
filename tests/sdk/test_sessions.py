"""A session that many tasks share, and one over connections that break."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from agentgate_oauth import AgentGateAdmin, AgentGateClient, AsyncAgentGateClient, FileStore, SessionEndedError
from agentgate_oauth.errors import InvalidGrantError

from tests.constants import CALLBACK
from tests.live.gate import Agent, Gate, Person
from tests.sdk.cutting_proxy import cutting_proxy


class Requests:
    """Counts the requests of a client by the end of their path."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def count(self, end: str) -> int:
        return sum(path.endswith(end) for path in self.paths)

    def note(self, request: httpx.Request) -> None:
        self.paths.append(request.url.path)

    async def anote(self, request: httpx.Request) -> None:
        self.note(request)


def expire(session: Any) -> None:
    """Make the session treat its access token as expired."""
    object.__setattr__(session._renewal.record, "renew_after", 0.0)


async def test_50_tasks_with_an_expired_token_share_one_refresh(gate: Gate, agent: Agent, person: Person):
    sent = Requests()
    http = httpx.AsyncClient(event_hooks={"request": [sent.anote]}, timeout=30)
    async with AsyncAgentGateClient(gate.url, agent.client_id, agent.client_secret, http_client=http) as client:
        session = await client.create_session(gate.code(agent, person))
        expire(session)
        decisions = await asyncio.gather(*(session.verify(["email:send"]) for _ in range(50)))
        assert [decision.allowed for decision in decisions] == [True] * 50
        assert len({decision.audit_id for decision in decisions}) == 50
        assert sent.count("/tokens/refresh") == 1
        assert (await session.verify(["email:send"])).allowed


def test_50_threads_with_an_expired_token_share_one_refresh(gate: Gate, agent: Agent, person: Person):
    sent = Requests()
    http = httpx.Client(event_hooks={"request": [sent.note]}, timeout=30)
    with AgentGateClient(gate.url, agent.client_id, agent.client_secret, http_client=http) as client:
        session = client.create_session(gate.code(agent, person))
        expire(session)
        with ThreadPoolExecutor(50) as pool:
            decisions = list(pool.map(lambda _: session.verify(["email:send"]), range(50)))
    assert [decision.allowed for decision in decisions] == [True] * 50
    assert sent.count("/tokens/refresh") == 1


def test_a_session_survives_a_lost_refresh_response(gate: Gate, agent: Agent, person: Person):
    with cutting_proxy(gate.url, "/tokens/refresh", times=2) as proxy:
        client = AgentGateClient(proxy.url, agent.client_id, agent.client_secret)
        session = client.create_session(gate.code(agent, person))
        expire(session)
        assert session.verify(["email:send"]).allowed
        assert proxy.cuts == 2
        expire(session)
        assert session.verify(["email:send"]).allowed


def test_the_proxy_cuts_after_the_server_has_acted(gate: Gate, agent: Agent, person: Person):
    tokens = gate.tokens(agent, person)
    body = {"refreshToken": tokens["refreshToken"], **agent.credentials}
    with cutting_proxy(gate.url, "/tokens/refresh", times=1) as proxy:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{proxy.url}/api/v1/tokens/refresh", json=body)
        again = httpx.post(f"{proxy.url}/api/v1/tokens/refresh", json=body)
    assert again.json()["code"] == "invalid_grant"


def test_an_exchange_survives_a_lost_response(gate: Gate, agent: Agent, person: Person):
    with cutting_proxy(gate.url, "/tokens/exchange", times=1) as proxy:
        client = AgentGateClient(proxy.url, agent.client_id, agent.client_secret)
        session = client.create_session(gate.code(agent, person))
        assert proxy.cuts == 1
        assert session.verify(["email:send"]).allowed


def test_two_clients_share_a_session_in_a_file_store(gate: Gate, agent: Agent, person: Person, tmp_path):
    first, second = (
        AgentGateClient(gate.url, agent.client_id, agent.client_secret, store=FileStore(tmp_path / "sessions"))
        for _ in range(2)
    )
    one = first.create_session(gate.code(agent, person), key="ada")
    two = second.resume_session("ada")
    assert two is not None
    expire(one)
    expire(two)
    assert one.verify(["email:send"]).allowed
    assert two.verify(["email:send"]).allowed
    one.revoke()
    assert first.resume_session("ada") is None
    assert two.verify(["email:send"]).reason == "token_revoked"
    expire(two)
    with pytest.raises(SessionEndedError):
        two.verify(["email:send"])


def test_revoking_a_session_keeps_the_connection_and_its_other_sessions(
    gate: Gate, client: AgentGateClient, agent, person
):
    ended, other = (client.create_session(gate.code(agent, person), key=name) for name in ("phone", "laptop"))
    ended.revoke()
    assert other.verify(["email:send"]).allowed
    consents = gate.get("/users/me/consents", **person.headers).json()["items"]
    assert [consent["status"] for consent in consents if consent["id"] == other.consent_id] == ["approved"]


def test_only_the_named_user_can_decide(gate: Gate, client: AgentGateClient, person: Person):
    asked = client.request_consent(scopes=["email:read"], redirect_uri=CALLBACK, user_id=person.id)
    path = f"/consent/{asked.consent_id}/approve"
    assert gate.post(path, **gate.person().headers).status_code == 404
    assert gate.post(path, **person.headers).status_code == 200


def test_a_revoked_consent_denies_and_then_ends_the_session(gate: Gate, client: AgentGateClient, agent, person):
    session = client.create_session(gate.code(agent, person))
    consent = gate.post(f"/users/me/consents/{session.consent_id}/revoke", **person.headers)
    assert consent.status_code == 200
    assert session.verify(["email:send"]).reason == "consent_revoked"
    expire(session)
    with pytest.raises(SessionEndedError):
        session.verify(["email:send"])


def test_a_session_outlives_a_suspension_of_its_agent(
    gate: Gate, client: AgentGateClient, admin: AgentGateAdmin, agent: Agent, person: Person
):
    session = client.create_session(gate.code(agent, person))
    admin.update_agent(agent.id, status="suspended")
    assert session.verify(["email:send"]).reason == "agent_suspended"
    expire(session)
    with pytest.raises(SessionEndedError):
        session.verify(["email:send"])
    admin.update_agent(agent.id, status="active")
    assert session.verify(["email:send"]).allowed


def test_a_code_works_once(gate: Gate, client: AgentGateClient, agent: Agent, person: Person):
    code = gate.code(agent, person)
    session = client.create_session(code)
    with pytest.raises(InvalidGrantError):
        client.exchange(code)
    assert session.verify(["email:send"]).reason == "token_revoked"
