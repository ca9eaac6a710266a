"""Every endpoint of `AgentGateAdmin` against a server, and its asynchronous version."""

from datetime import UTC, datetime, timedelta

import pytest
from agentgate_oauth import AgentGateAdmin, AgentGateVerifier, AsyncAgentGateAdmin, AsyncAgentGateVerifier, rules
from agentgate_oauth.errors import (
    AuthenticationError,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    NotFoundError,
)

from tests.live.gate import CALLBACK, Agent, Developer, Gate, Person


@pytest.fixture
def own(gate: Gate) -> AgentGateAdmin:
    """A developer with an empty organization."""
    return AgentGateAdmin(gate.url, gate.developer().api_key)


def test_agents(own: AgentGateAdmin):
    agent = own.create_agent(name="One", redirect_uris=[CALLBACK], allowed_scopes=["email:read"])
    assert agent.client_secret.startswith("ags_")
    assert own.get_agent(agent.id) == own.get_agent(agent.client_id)
    changed = own.update_agent(agent.id, name="Two", description=None, status="suspended")
    assert (changed.name, changed.description, changed.status) == ("Two", changed.description, "suspended")
    rotated = own.rotate_agent_secret(agent.id, overlap_seconds=60)
    assert rotated.client_secret != agent.client_secret
    assert rotated.previous_secret_expires_at is not None
    assert [found.id for found in own.iter_agents()] == [agent.id]


def test_lists_are_paged(own: AgentGateAdmin):
    for number in range(5):
        own.create_agent(name=f"Agent {number}", redirect_uris=[CALLBACK], allowed_scopes=["email:read"])
    first = own.list_agents(limit=2)
    assert len(first) == 2
    assert first.next_cursor is not None
    second = own.list_agents(limit=2, cursor=first.next_cursor)
    assert not {agent.id for agent in first} & {agent.id for agent in second}
    assert len({agent.id for agent in own.iter_agents(limit=2)}) == 5


def test_policies(own: AgentGateAdmin):
    made = own.create_policy(
        name="All of them",
        description="one rule of each type",
        rules=[
            rules.rate_limit(max_requests=10, window_seconds=3600, scope="per_agent"),
            rules.time_window(allowed_days=[1, 7], start_time="22:00", end_time="06:00", timezone="Europe/Vienna"),
            rules.action_allowlist("email:*"),
            rules.action_blocklist("payments:charge"),
            rules.ip_allowlist("10.0.0.0/8", "2001:db8::/32"),
        ],
    )
    assert own.get_policy(made.id) == made
    assert [rule.type for rule in made.rules][:2] == ["rate_limit", "time_window"]
    assert own.update_policy(made.id, enabled=False, rules=[rules.action_allowlist()]).enabled is False
    assert [policy.id for policy in own.iter_policies()] == [made.id]
    own.delete_policy(made.id)
    with pytest.raises(NotFoundError):
        own.get_policy(made.id)


def test_an_invalid_rule_names_its_field(own: AgentGateAdmin):
    with pytest.raises(InvalidRequestError) as caught:
        own.create_policy(name="x", rules=[{"type": "rate_limit", "config": {"maxRequests": 0}}])
    assert caught.value.errors
    assert any("rules" in problem.field for problem in caught.value.errors)
    assert caught.value.request_id


def test_resource_servers(own: AgentGateAdmin):
    made = own.create_resource_server(name="A", identifier="https://a.example", scopes=["email:read"])
    assert made.secret.startswith("rs_")
    assert own.get_resource_server(made.id).identifier == "https://a.example"
    assert own.update_resource_server(made.id, name="B").name == "B"
    rotated = own.rotate_resource_server_secret(made.id)
    assert rotated.secret not in ("", made.secret)
    assert [server.id for server in own.iter_resource_servers()] == [made.id]
    own.delete_resource_server(made.id)
    with pytest.raises(NotFoundError):
        own.get_resource_server(made.id)


def test_a_rotated_api_key_replaces_the_old_one(own: AgentGateAdmin, gate: Gate):
    rotated = own.rotate_api_key()
    assert AgentGateAdmin(gate.url, rotated.api_key).list_agents().items == ()
    with pytest.raises(AuthenticationError):
        own.list_agents()


def test_the_log_is_filtered(own: AgentGateAdmin):
    own.create_agent(name="x", redirect_uris=[CALLBACK], allowed_scopes=["email:read"])
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert own.get_audit_logs().items
    assert not own.get_audit_logs(since=tomorrow).items
    assert own.get_audit_logs(until=tomorrow, limit=1).items
    assert {entry.outcome for entry in own.iter_audit_logs(outcome="denied")} <= {"denied"}


def test_the_catalogue_of_scopes(own: AgentGateAdmin):
    catalogue = {scope.id: scope for scope in own.list_scopes()}
    assert {"email:read", "payments:charge"} <= catalogue.keys()
    assert catalogue["payments:charge"].risk_level == "critical"


def test_agents_of_other_developers_are_not_found(own: AgentGateAdmin, agent: Agent):
    with pytest.raises(NotFoundError):
        own.get_agent(agent.id)


def test_an_unknown_scope_is_an_invalid_request(own: AgentGateAdmin):
    with pytest.raises(InvalidRequestError) as caught:
        own.create_agent(name="x", redirect_uris=[CALLBACK], allowed_scopes=["no:such"])
    assert isinstance(caught.value, InvalidScopeError) or caught.value.errors


async def test_the_asynchronous_version_works(gate: Gate, developer: Developer, agent: Agent, person: Person):
    async with AsyncAgentGateAdmin(gate.url, developer.api_key) as admin:
        assert (await admin.get_agent(agent.id)).client_id == agent.client_id
        assert agent.id in [found.id async for found in admin.iter_agents()]
        service = await admin.create_resource_server(
            name="Twin", identifier=f"https://{person.id}.example", scopes=["email:read"]
        )
    token = gate.tokens(agent, person)["accessToken"]
    async with AsyncAgentGateVerifier(gate.url, service.id, service.secret) as verifier:
        assert (await verifier.verify(token, ["email:read"])).user_id == person.id
        found = await verifier.introspect(token)
        assert (found.active, found.sub, found.client_id) == (True, person.id, agent.client_id)
        assert not (await verifier.introspect("garbage")).active


def test_a_wrong_resource_server_credential_is_an_error(gate: Gate, agent: Agent, person: Person):
    token = gate.tokens(agent, person)["accessToken"]
    verifier = AgentGateVerifier(gate.url, "res_0", "rs_wrong")
    for ask in (lambda: verifier.verify(token, ["email:read"]), lambda: verifier.introspect(token)):
        with pytest.raises((AuthenticationError, InvalidClientError)):
            ask()


def test_named_secrets_and_keys(own: AgentGateAdmin, gate: Gate):
    agent = own.create_agent(name="A", redirect_uris=[CALLBACK], allowed_scopes=["email:read"])
    made = own.create_client_secret(agent.id, name="production")
    assert (made.client_id, made.client_secret in repr(made)) == (agent.client_id, False)
    rotated = own.rotate_client_secret(agent.id, made.id, overlap_seconds=60)
    assert rotated.name == "production"
    assert rotated.previous_secret_expires_at
    own.revoke_client_secret(agent.id, made.id)
    assert [one.name for one in own.list_client_secrets(agent.id).items] == ["production", ""]

    key = own.create_api_key(name="deployment", expires_in_seconds=3600)
    assert key.expires_at
    assert key.api_key not in repr(key)
    assert AgentGateAdmin(gate.url, key.api_key).list_api_keys().items[0].last_used_at
    own.revoke_api_key(key.id)
    assert [one.name for one in own.list_api_keys().items] == [""]


def test_links_of_an_agent_are_set_and_cleared(own: AgentGateAdmin):
    agent = own.create_agent(name="A", redirect_uris=[CALLBACK], allowed_scopes=["email:read"])
    assert agent.homepage_url is None
    assert own.update_agent(agent.id, homepage_url="https://acme.com/").homepage_url == "https://acme.com/"
    assert own.update_agent(agent.id, homepage_url=None).homepage_url is None
