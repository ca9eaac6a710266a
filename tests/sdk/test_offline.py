"""Offline decisions about a live server's tokens: what they consider, and what they do not."""

import pytest
from agentgate_oauth import Decision
from agentgate_oauth.service import Guard, Refusal, Requirement

from tests.environment import Servers
from tests.live.gate import Agent, Gate, Person, expect
from tests.live.server import Databases, LiveServer

QUESTION = Requirement[None](("email:send",)).question(None, None)


@pytest.fixture
def guard(gate: Gate) -> Guard:
    return Guard(gate.url, mode="offline", audience=gate.url)


def test_a_token_is_checked_with_the_published_keys(guard: Guard, gate: Gate, agent: Agent, person: Person):
    tokens = gate.tokens(agent, person)
    outcome = guard.check([f"Bearer {tokens['accessToken']}"], QUESTION)
    assert isinstance(outcome, Decision)
    assert (outcome.user_id, outcome.consent_id) == (person.id, tokens["consentId"])
    assert set(outcome.granted_scopes) == set(tokens["grantedScopes"])


def test_a_missing_scope_another_audience_and_a_changed_token_are_refused(
    guard: Guard, gate: Gate, agent: Agent, person: Person
):
    low = gate.tokens(agent, person, ("email:read",))["accessToken"]
    good = gate.tokens(agent, person)["accessToken"]
    elsewhere = Guard(gate.url, mode="offline", audience="https://other.example")
    head, claims, signature = good.split(".")
    outcomes = [
        guard.check([f"Bearer {low}"], QUESTION),
        elsewhere.check([f"Bearer {good}"], QUESTION),
        guard.check([f"Bearer {head}.{claims}.{signature[:-4]}AAAA"], QUESTION),
    ]
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Refusal)] == [403, 401, 401]


def test_a_revoked_token_is_allowed_and_the_decision_says_so(guard: Guard, gate: Gate, agent: Agent, person: Person):
    tokens = gate.tokens(agent, person)
    expect(200, gate.post("/tokens/revoke", {"token": tokens["accessToken"]}))
    assert gate.verify(tokens["accessToken"])["reason"] == "token_revoked"
    outcome = guard.check([f"Bearer {tokens['accessToken']}"], QUESTION)
    assert isinstance(outcome, Decision)
    assert "revocation" in outcome.unknown


def test_with_hs256_there_are_no_keys_and_offline_refuses(servers: Servers, sdk_databases: Databases):
    with LiveServer(sdk_databases.sqlite(), servers.folder, 1, JWT_ALGORITHM="HS256") as server:
        gate = Gate(server.url)
        token = gate.tokens(gate.agent(gate.developer()), gate.person())["accessToken"]
        offline = Guard(server.url, mode="offline", audience=server.url).check([f"Bearer {token}"], QUESTION)
        live = Guard(server.url).check([f"Bearer {token}"], QUESTION)
    assert isinstance(offline, Refusal)
    assert offline.status == 503
    assert isinstance(live, Decision)
