"""The five integrations, each on its real framework in its own process, against a live server.

The SDK's own tests have all their answers, against a fake AgentGate.
"""

import pytest
from agentgate_oauth import AgentGateAdmin
from service_processes import Service

from tests.live.gate import Agent, Gate, Person, expect
from tests.sdk.conftest import verified


def test_a_good_token_passes_and_the_log_has_the_details(
    service: Service, gate: Gate, admin: AgentGateAdmin, agent: Agent, person: Person
):
    outcome = service.send(gate.tokens(agent, person)["accessToken"])
    assert (outcome.status, outcome.body["userId"]) == (200, person.id)
    entry = verified(admin, outcome.body["auditId"])
    assert (entry.outcome, entry.user_id, entry.scopes) == ("allowed", person.id, ("email:send",))
    assert entry.ip == "127.0.0.1"


def test_a_bad_token_is_401_invalid_token(service: Service):
    outcome = service.send("garbage")
    assert outcome.status == 401
    assert 'error="invalid_token"' in str(outcome.challenge)


def test_a_missing_scope_is_403_insufficient_scope(service: Service, gate: Gate, agent: Agent, person: Person):
    outcome = service.send(gate.tokens(agent, person, ("email:read",))["accessToken"])
    assert (outcome.status, outcome.body["error"]) == (403, "insufficient_scope")
    assert outcome.body["missingScopes"] == ["email:send"]


def test_a_revoked_consent_is_refused_at_the_next_request(service: Service, gate: Gate, agent: Agent, person: Person):
    tokens = gate.tokens(agent, person)
    assert service.send(tokens["accessToken"]).status == 200
    expect(200, gate.post(f"/users/me/consents/{tokens['consentId']}/revoke", **person.headers))
    assert service.send(tokens["accessToken"]).status == 401


def test_a_token_for_another_service_is_refused(
    service: Service, gate: Gate, admin: AgentGateAdmin, agent: Agent, person: Person
):
    calendar = next(
        (server for server in admin.iter_resource_servers() if server.identifier == "https://calendar.example"), None
    ) or admin.create_resource_server(
        name="Calendar", identifier="https://calendar.example", scopes=["email:read", "email:send"]
    )
    consent = gate.initiate(agent, ("email:send",), resource=calendar.identifier)
    tokens = expect(200, gate.exchange(agent, gate.approve(consent, person)))
    assert service.send(tokens["accessToken"]).status == 401


def test_a_policy_that_refuses_is_named(
    service: Service, gate: Gate, admin: AgentGateAdmin, agent: Agent, person: Person
):
    token = gate.tokens(agent, person)["accessToken"]
    limit = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_agent"}}
    policy = admin.create_policy(name="One an hour", agent_id=agent.id, rules=[limit])
    assert service.send(token).status == 200
    outcome = service.send(token)
    assert outcome.status == 429
    assert outcome.body["policy"] == {"id": policy.id, "name": "One an hour", "ruleType": "rate_limit"}
    assert outcome.body["retryAfterSeconds"] > 0
    if service.name != "fastmcp":  # a tool's refusal is the text of a tool error, without headers
        assert outcome.retry_after == str(outcome.body["retryAfterSeconds"])


@pytest.mark.parametrize("service", ["fastmcp"], indirect=True)
async def test_the_real_mcp_client_calls_the_guarded_tool(service: Service, gate: Gate, agent: Agent, person: Person):
    from fastmcp import Client  # takes a second, in each process that collects the tests

    token = gate.tokens(agent, person)["accessToken"]
    async with Client(f"{service.url}/mcp", auth=token) as client:
        (tool,) = await client.list_tools()
        assert list(tool.inputSchema["properties"]) == ["recipient"]
        assert (await client.call_tool("send", {"recipient": "a@example.com"})).data["userId"] == person.id
        expect(200, gate.post("/tokens/revoke", {"token": token}))
        with pytest.raises(Exception, match="error response"):
            await client.call_tool("send", {"recipient": "a@example.com"})
