"""A session refreshes its tokens once, survives a lost response, and ends when it is revoked."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, problem

from agentgate_oauth import (
    AgentGateClient,
    AsyncAgentGateClient,
    MemoryStore,
    SessionEndedError,
    UnavailableError,
)


def expire(session) -> None:
    object.__setattr__(session._renewal.record, "renew_after", 0.0)


def test_verify_returns_a_decision(client: AgentGateClient):
    session = client.create_session("code")
    decision = session.verify(["email:send"], action="email:send", context={"recipient": "a@example.com"})
    assert decision and decision.user_id == "usr_1" and decision.audit_id == "log_1"
    assert (session.user_id, session.agent_id, session.consent_id) == ("usr_1", "agt_1", "cns_1")
    assert session.granted_scopes == ("email:send",)


def test_a_fresh_token_is_not_refreshed(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    assert session.access_token() == "access-1"
    session.verify(["email:send"])
    assert gate.calls["/tokens/refresh"] == 0


@pytest.mark.parametrize(("seconds", "refreshes"), [(10**400, 0), (-(10**400), 1), (0, 1)])
def test_any_lifetime_that_a_response_states_is_taken(
    client: AgentGateClient, gate: FakeGate, seconds: int, refreshes: int
):
    gate.expires_in = seconds
    session = client.create_session("code")
    assert session.verify(["email:send"]).allowed
    assert gate.calls["/tokens/refresh"] == refreshes


def test_an_expired_token_is_refreshed_first(client: AgentGateClient):
    session = client.create_session("code")
    expire(session)
    assert session.verify(["email:send"]).allowed
    assert session.access_token() == "access-2"


def test_a_token_that_the_server_finds_expired_is_refreshed(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    assert session.access_token() == "access-1"
    gate.intercept = lambda request: (
        httpx.Response(200, json={"allowed": False, "reason": "token_expired"})
        if b"access-1" in request.content
        else None
    )
    assert session.verify(["email:send"]).allowed
    assert gate.calls["/tokens/refresh"] == 1


def test_50_threads_share_one_refresh(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    with ThreadPoolExecutor(50) as pool:
        decisions = list(pool.map(lambda _: session.verify(["email:send"]), range(50)))
    assert [d.allowed for d in decisions] == [True] * 50
    assert gate.calls["/tokens/refresh"] == 1
    assert not gate.family_ended


async def test_50_tasks_share_one_refresh(async_client: AsyncAgentGateClient, gate: FakeGate):
    session = await async_client.create_session("code")
    expire(session)
    decisions = await asyncio.gather(*(session.verify(["email:send"]) for _ in range(50)))
    assert [d.allowed for d in decisions] == [True] * 50
    assert gate.calls["/tokens/refresh"] == 1


def test_a_lost_refresh_is_repeated_with_the_same_key(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    gate.lose_answer_to = "/tokens/refresh"
    assert session.verify(["email:send"]).allowed
    keys = [r.headers["Idempotency-Key"] for r in gate.requests if r.url.path.endswith("/refresh")]
    assert len(keys) == 2 and keys[0] == keys[1]
    assert not gate.family_ended


def test_a_refresh_lost_in_a_crash_is_recovered_by_the_next_process(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    gate.lose_answer_to = "/tokens/refresh"
    with pytest.raises(KeyboardInterrupt):
        _die_after_sending(session, gate)
    gate.intercept = lambda request: None
    resumed = client.resume_session("cns_1")
    assert resumed is not None
    assert resumed.verify(["email:send"]).allowed
    assert not gate.family_ended


def _die_after_sending(session, gate: FakeGate) -> None:
    def spend_and_die(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/refresh"):
            return None
        gate._answer("/tokens/refresh", request)
        raise KeyboardInterrupt

    gate.intercept = spend_and_die
    session.verify(["email:send"])


class SlowStore(MemoryStore):
    """A slow store, so that a task can be cancelled in the middle of each step."""

    def try_lock(self, key):
        unlock = super().try_lock(key)
        time.sleep(0.03)
        return unlock

    def save(self, key, record):
        time.sleep(0.03)
        super().save(key, record)


@pytest.mark.parametrize("after", [0.0, 0.01, 0.02, 0.04, 0.05, 0.06])
async def test_a_task_cancelled_at_any_moment_does_not_break_the_session(gate: FakeGate, after: float):
    client = AsyncAgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, store=SlowStore(), http_client=gate.async_client(), retry=NO_PAUSES
    )
    session = await client.create_session("code")
    expire(session)
    cancelled = asyncio.ensure_future(session.verify(["email:send"]))
    await asyncio.sleep(after)
    cancelled.cancel()
    await asyncio.sleep(0)
    cancelled.cancel()
    outcome = await asyncio.gather(cancelled, return_exceptions=True)
    assert isinstance(outcome[0], asyncio.CancelledError)
    assert (await asyncio.wait_for(session.verify(["email:send"]), 5)).allowed
    assert not gate.family_ended


def test_an_ended_family_raises(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    gate.family_ended = True
    with pytest.raises(SessionEndedError, match="invalid_grant"):
        session.verify(["email:send"])
    assert client.resume_session("cns_1") is not None, "the store keeps it until it is revoked or replaced"


def test_a_session_outlives_a_suspension_of_its_agent(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    gate.intercept = lambda request: (
        problem(400, "invalid_grant") if request.url.path.endswith("/refresh") else None
    )
    with pytest.raises(SessionEndedError):
        session.verify(["email:send"])
    gate.intercept = lambda request: None
    assert session.verify(["email:send"]).allowed


def test_waiters_share_a_failed_refresh(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    expire(session)
    gate.intercept = lambda request: (
        problem(503, "unavailable") if request.url.path.endswith("/refresh") else None
    )

    def attempt(_: int) -> str:
        with pytest.raises(UnavailableError) as caught:
            session.verify(["email:send"])
        return caught.value.code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(attempt, range(50))) == {"unavailable"}
    assert gate.calls["/tokens/refresh"] < 50 * 4
    gate.intercept = lambda request: None
    assert session.verify(["email:send"]).allowed


def test_revoke_ends_the_session_and_deletes_the_record(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    session.revoke()
    assert gate.family_ended
    assert client.resume_session("cns_1") is None
    with pytest.raises(SessionEndedError):
        session.verify(["email:send"])


def test_a_failed_revoke_can_be_repeated(client: AgentGateClient, gate: FakeGate):
    session = client.create_session("code")
    gate.intercept = lambda request: problem(503, "unavailable")
    with pytest.raises(UnavailableError):
        session.revoke()
    gate.intercept = lambda request: None
    session.revoke()
    assert gate.family_ended


def test_a_string_is_not_a_list_of_scopes(client: AgentGateClient):
    session = client.create_session("code")
    with pytest.raises(TypeError):
        session.verify("email:send")
