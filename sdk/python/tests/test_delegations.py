"""An agent hands work on, and another one accepts only what it expects."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, problem, tokens

from agentgate_oauth import (
    AgentGateClient,
    AsyncAgentGateClient,
    DelegationNotAllowedError,
    MemoryStore,
    SessionEndedError,
    UnexpectedDelegationError,
    rules,
)

TOKEN = "dlg_secret-delegation-token"
HANDED = {
    "id": "del_1",
    "delegationToken": TOKEN,
    "scopes": ["email:send"],
    "expiresAt": "2027-03-01T12:00:00Z",
}
CHAIN = [
    {"agentId": "agt_0", "delegationId": None},
    {"agentId": "agt_2", "delegationId": "del_0"},
    {"agentId": "agt_1", "delegationId": "del_1"},
]


class Delegating(FakeGate):
    """Also hands over, and issues for delegation tokens. `changes` are those of the issued tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[str, Any] = {"delegationId": "del_1", "chain": CHAIN, "actor": CHAIN[-1]}

    def _answer(self, path: str, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if path == "/delegations":
            return httpx.Response(201, json=HANDED)
        if body.get("delegationToken"):
            self.generation += 1
            issued = {**tokens(self.generation, self.expires_in), **self.changes}
            return httpx.Response(
                200, json={name: value for name, value in issued.items() if value is not None}
            )
        return super()._answer(path, request)


@pytest.fixture
def gate() -> Delegating:
    return Delegating()


def bodies(gate: FakeGate, path: str) -> list[dict[str, Any]]:
    return [json.loads(one.content) for one in gate.requests if one.url.path == f"/api/v1{path}"]


def test_a_session_hands_over_without_its_token_leaving(client: AgentGateClient, gate: Delegating):
    handed = client.create_session("code").delegate(
        to="agc_2",
        scopes=["email:send"],
        limits={"email:send": [rules.rate_limit(max_requests=3, window_seconds=60)]},
        targets=[{"type": "email:mailbox", "identifiers": ["inbox"]}],
        expires_in=timedelta(minutes=5),
        max_depth=2,
        task="Answer the inbox",
    )
    assert (handed.id, handed.scopes, handed.delegation_token) == ("del_1", ("email:send",), TOKEN)
    assert TOKEN not in repr(handed) + str(handed)
    (body,) = bodies(gate, "/delegations")
    config = {"maxRequests": 3, "windowSeconds": 60, "scope": "per_user"}
    assert body.pop("limits") == {"email:send": [{"type": "rate_limit", "config": config}]}
    assert body == {
        "clientId": "agc_1",
        "clientSecret": CLIENT_SECRET,
        "token": "access-1",
        "to": "agc_2",
        "scopes": ["email:send"],
        "targets": [{"type": "email:mailbox", "identifiers": ["inbox"]}],
        "expiresInSeconds": 300,
        "maxDepth": 2,
        "task": "Answer the inbox",
    }


def test_a_refusal_is_an_error_of_its_own(client: AgentGateClient, gate: Delegating):
    session = client.create_session("code")
    gate.intercept = lambda request: problem(403, "delegation_not_allowed")
    with pytest.raises(DelegationNotAllowedError):
        session.delegate(to="agc_2", scopes=["email:send"])


@pytest.mark.parametrize("wrong", [{"expires_in": 300}, {"scopes": "email:send"}, {"targets": "inbox"}])
def test_wrong_arguments_send_nothing(client: AgentGateClient, gate: Delegating, wrong: dict[str, Any]):
    session = client.create_session("code")
    with pytest.raises(TypeError):
        session.delegate(**{"to": "agc_2", "scopes": ["email:send"], **wrong})
    assert gate.calls["/delegations"] == 0


def test_what_is_expected_becomes_a_session_that_refreshes(gate: Delegating):
    store = MemoryStore()
    client = AgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES, store=store
    )
    session = client.accept(TOKEN, expect_from="agt_2", expect_user="usr_1")
    assert (session.key, session.delegation_id, session.user_id) == ("del_1", "del_1", "usr_1")
    (body,) = bodies(gate, "/tokens/exchange")
    assert body == {"clientId": "agc_1", "clientSecret": CLIENT_SECRET, "delegationToken": TOKEN}
    object.__setattr__(session._renewal.record, "renew_after", 0.0)
    assert session.verify(["email:send"]).allowed
    assert gate.calls["/tokens/refresh"] == 1
    resumed = client.resume_session("del_1")
    assert resumed is not None and resumed.access_token() == session.access_token()
    assert TOKEN not in repr(session) + repr(store.load("del_1"))


@pytest.mark.parametrize(
    ("changes", "from_agent", "user_id"),
    [
        ({"userId": "usr_9"}, "agt_2", "usr_9"),
        ({"chain": [CHAIN[1], CHAIN[0], CHAIN[2]]}, "agt_0", "usr_1"),
        ({"chain": [CHAIN[2]]}, None, "usr_1"),
        ({"chain": None, "delegationId": None}, None, "usr_1"),
    ],
    ids=["another user", "another agent", "no agent", "no delegation"],
)
def test_anything_else_is_revoked_before_a_session_has_it(
    gate: Delegating, changes: dict[str, Any], from_agent: str | None, user_id: str
):
    store = MemoryStore()
    client = AgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES, store=store
    )
    gate.changes |= changes
    with pytest.raises(UnexpectedDelegationError) as caught:
        client.accept(TOKEN, expect_from="agt_2", expect_user="usr_1", key="job")
    assert (caught.value.from_agent, caught.value.user_id) == (from_agent, user_id)
    assert bodies(gate, "/tokens/revoke") == [{"token": "refresh-1"}]
    assert gate.family_ended
    assert store.load("job") is None and store.load("del_1") is None


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"expect_from": "agt_2"},
        {"expect_user": "usr_1"},
        {"expect_from": None, "expect_user": "usr_1"},
        {"expect_from": "agt_2", "expect_user": None},
        {"expect_from": "agt_2", "expect_user": ""},
        {"expect_from": "agc_2", "expect_user": "usr_1"},
    ],
)
def test_nothing_is_redeemed_unless_it_is_said_what_is_expected(
    client: AgentGateClient, gate: Delegating, expected: dict[str, Any]
):
    with pytest.raises(TypeError, match="expect_"):
        client.accept(TOKEN, **expected)
    assert not gate.requests


def test_a_short_delegation_has_no_refresh_token_and_its_session_ends_with_it(
    client: AgentGateClient, gate: Delegating
):
    gate.changes |= {"refreshToken": None, "refreshExpiresIn": None, "expiresIn": 60}
    session = client.accept(TOKEN, expect_from="agt_2", expect_user="usr_1")
    assert session.access_token() == "access-1"
    object.__setattr__(session._renewal.record, "renew_after", 0.0)
    with pytest.raises(SessionEndedError, match="do so again"):
        session.verify(["email:send"])
    session.revoke()
    assert bodies(gate, "/tokens/revoke") == [{"token": "access-1"}]


def test_when_it_has_ended_the_error_says_whom_to_ask(client: AgentGateClient, gate: Delegating):
    session = client.accept(TOKEN, expect_from="agt_2", expect_user="usr_1")
    gate.family_ended = True
    object.__setattr__(session._renewal.record, "renew_after", 0.0)
    with pytest.raises(SessionEndedError, match="Ask the agent that handed the work over"):
        session.access_token()


async def test_the_same_with_asyncio(async_client: AsyncAgentGateClient, gate: Delegating):
    session = await async_client.create_session("code")
    handed = await session.delegate(to="agc_2", scopes=["email:send"])
    accepted = await async_client.accept(handed.delegation_token, expect_from="agt_2", expect_user="usr_1")
    assert (await accepted.verify(["email:send"])).allowed
    with pytest.raises(UnexpectedDelegationError):
        await async_client.accept(handed.delegation_token, expect_from="agt_9", expect_user="usr_1")
