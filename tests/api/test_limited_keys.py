"""Keys that are limited to some agents, keys with a lesser role, and keys of the organization itself."""

from typing import Any

import pytest

from audit.sequencing.sequencer import sequence
from developers.models import Developer
from tests.api.conftest import Api, Json, expect, initiate, new_agent, problem, tokens_for, verify
from tests.log import log_entries, log_entry
from tests.shared import cases

KEYS, SIMULATE = "/developers/api-keys", "/policies/simulate"
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
URI = "https://agent.example/other"


def new_key(maker: Api, **fields: Any) -> Api:
    made = expect(201, maker.post(KEYS, {"name": "ci", **fields}))
    api = Api(X_Api_Key=made["apiKey"])
    api.id = made["id"]  # type: ignore[attr-defined]
    return api


@pytest.fixture(scope="module")
def other(developer: Api) -> Json:
    """Another agent of the organization, which the limited key does not reach."""
    return new_agent(developer, name="Other")


@pytest.fixture
def limited(developer: Api, agent: Json) -> Api:
    return new_key(developer, agentIds=[agent["id"]])


def test_a_limited_key_reaches_its_agent_and_the_secrets_of_that(limited: Api, agent: Json, other: Json) -> None:
    assert [one["id"] for one in expect(200, limited.get("/agents"))["items"]] == [agent["id"]]
    for name in ("id", "clientId"):
        expect(200, limited.get(f"/agents/{agent[name]}"))
    expect(200, limited.patch(f"/agents/{agent['id']}", {"description": "Reads mail."}))
    expect(200, limited.get(f"/agents/{agent['id']}/stop"))
    (secret,) = expect(200, limited.get(f"/agents/{agent['id']}/secrets"))["items"]
    expect(200, limited.post(f"/agents/{agent['id']}/secrets/{secret['id']}/rotate"))
    new = expect(200, limited.post(f"/agents/{agent['id']}/rotate-secret"))
    assert new["clientSecret"]
    for one in expect(200, limited.get(f"/agents/{agent['id']}/secrets"))["items"]:
        assert limited.delete(f"/agents/{agent['id']}/secrets/{one['id']}").status_code == 204
    problem(limited.post(f"/agents/{agent['id']}/rotate-secret"), 403, "key_limited")


@cases(
    "request_line",
    [
        "GET /agents/{other}",
        "GET /agents/{other_client}",
        "GET /agents/agt_unknown",
        "PATCH /agents/{other}",
        "GET /agents/{other}/secrets",
        "POST /agents/{other}/rotate-secret",
        "GET /agents/{other}/stop",
        "GET /audit?agentId={other}",
        "GET /audit/log_unknown/proof",
        "GET /consent/cns_unknown",
        "GET /consent/{consent}",
        "POST /agents",
        "POST /agents/{agent}/secrets",
        "GET /audit/export",
        "GET /policies",
        "POST /policies",
        "GET /resource-servers",
        "GET /developers/api-keys",
        "POST /developers/api-keys",
        "POST /developers/api-keys/rotate",
        "DELETE /developers/api-keys/{key}",
    ],
)
def test_a_limited_key_reaches_nothing_else_and_creates_nothing(
    limited: Api, agent: Json, other: Json, request_line: str
) -> None:
    method, path = request_line.split()
    ids = {"agent": agent["id"], "other": other["id"], "other_client": other["clientId"]}
    path = path.format(**ids, consent=initiate(other), key=limited.id)  # type: ignore[attr-defined]
    body = None if method in ("GET", "DELETE") else {}
    answer = limited.call(method, path, USUAL.get(request_line, body))
    assert problem(answer, 403, "key_limited")["detail"] == f"This key reaches only {agent['id']}."


USUAL: dict[str, Any] = {
    "POST /agents": {"name": "Bot", "redirectUris": [URI], "allowedScopes": ["email:read"]},
    "POST /agents/{agent}/secrets": {"name": "x"},
    "POST /policies": {"name": "x", "rules": [BLOCK]},
    "POST /developers/api-keys": {"name": "x"},
}


def test_a_limited_key_reads_the_entries_and_consents_of_its_agents_only(
    limited: Api, developer: Api, agent: Json, other: Json, ada: Api
) -> None:
    for each in (agent, other):
        verify(tokens_for(each, ada)["accessToken"])
    sequence()
    entries = expect(200, limited.get("/audit?limit=200"))["items"]
    assert {"token.verify", "agent.created"} <= {entry["event"] for entry in entries}
    assert {entry["agentId"] for entry in entries} == {agent["id"]}
    expect(200, limited.get(f"/audit?agentId={agent['id']}"))
    expect(200, limited.get(f"/audit/{entries[0]['id']}/proof"))
    (theirs,) = expect(200, developer.get(f"/audit?agentId={other['id']}&event=token.verify"))["items"]
    problem(limited.get(f"/audit/{theirs['id']}/proof"), 403, "key_limited")
    expect(200, limited.get(f"/consent/{entries[0]['consentId']}"))
    problem(limited.get(f"/consent/{theirs['consentId']}"), 403, "key_limited")


DRAFT = {"rules": [BLOCK]}


def new_policy(developer: Api, agent_id: str | None) -> Json:
    made = expect(201, developer.post("/policies", {"name": "x", "rules": [BLOCK], "agentId": agent_id}))
    return {"policyId": made["id"]}


def simulate(key: Api, agent: Json, **policy: Any) -> Any:
    return key.post(SIMULATE, {**policy, "request": {"agentId": agent["id"], "requiredScopes": ["email:send"]}})


def test_a_limited_key_simulates_requests_of_its_agents_only(
    limited: Api, developer: Api, agent: Json, other: Json
) -> None:
    own, theirs, common = (new_policy(developer, agent_id) for agent_id in (agent["id"], other["id"], None))
    draft = {"policy": {**DRAFT, "agentId": agent["clientId"]}}
    for each in ({"policy": DRAFT}, own, common, draft):
        assert expect(200, simulate(limited, agent, **each))["decision"]["outcome"] == "denied"
        problem(simulate(limited, other, **each), 403, "key_limited")
    for each in (theirs, {"policyId": "pol_unknown"}, {"policy": {**DRAFT, "agentId": other["id"]}}):
        problem(simulate(limited, agent, **each), 403, "key_limited")


def test_a_limited_key_replays_decisions_about_its_agents_only(
    limited: Api, developer: Api, agent: Json, other: Json, ada: Api
) -> None:
    for one in (agent, other):
        verify(tokens_for(one, ada)["accessToken"])
    sequence()
    own, common = new_policy(developer, agent["id"]), new_policy(developer, None)
    for each in ({"policy": DRAFT}, common, {"policy": {**DRAFT, "agentId": agent["id"]}, **common}):
        problem(limited.post(SIMULATE, {**each, "replay": {"days": 1}}), 403, "key_limited")
    report = expect(200, limited.post(SIMULATE, {**own, "replay": {"days": 1}}))["replay"]
    assert report["decisions"] == 1


def test_a_key_does_what_its_role_permits_or_its_members_current_one(developer: Api, agent: Json) -> None:
    auditor = new_key(developer, role="auditor")
    expect(200, auditor.get("/agents"))
    refused = problem(auditor.patch(f"/agents/{agent['id']}", {"name": "x"}), 403, "role_insufficient")
    assert refused["detail"] == "This requires the role owner or admin or developer. The role here is auditor."
    problem(auditor.post(KEYS, {"name": "more", "role": "owner"}), 403, "role_insufficient")
    content = log_entry(log_entries(event="member.refused").latest("leaf_index").pk).content
    assert content["metadata"] == {"act": "createApiKey", "role": "auditor", "right": "own"}
    full = new_key(developer, name="full", role="developer")
    Developer.objects.update(role="auditor")
    problem(full.patch(f"/agents/{agent['id']}", {"name": "x"}), 403, "role_insufficient")


def test_a_key_with_a_lesser_role_gets_no_stored_response_of_a_greater_one(developer: Api) -> None:
    auditor = new_key(developer, role="auditor")
    expect(201, developer.post(KEYS, {"name": "x"}, Idempotency_Key="one"))
    problem(auditor.post(KEYS, {"name": "x"}, Idempotency_Key="one"), 400, "validation_failed", "name")


def test_a_key_of_the_organization_acts_for_itself_and_makes_no_keys(
    developer: Api, agent: Json, ada: Api, rival: Api
) -> None:
    own = new_key(developer, ownedByOrganization=True)
    shown = expect(200, developer.get(KEYS))["items"][0]
    (maker,) = Developer.objects.filter(user__email="acme@example.com")
    assert (shown["ownedByOrganization"], shown["madeBy"], shown["role"], shown["agentIds"]) == (
        True,
        maker.id,
        "developer",
        None,
    )
    assert [key["name"] for key in expect(200, own.get(KEYS))["items"]] == ["ci"]
    problem(own.post(KEYS, {"name": "more"}), 403, "forbidden")
    assert own.id not in {key["id"] for key in expect(200, rival.get(KEYS))["items"]}  # type: ignore[attr-defined]
    assert expect(200, own.patch(f"/agents/{agent['id']}", {"description": "Reads."}, User_Agent="ci"))
    entry = expect(200, own.get("/audit?event=agent.updated"))["items"][0]
    assert entry["ip"] == "127.0.0.1"
    content = log_entry(entry["id"]).content
    assert (content["actor"], content["userId"]) == ({"kind": "api_key", "id": own.id}, None)  # type: ignore[attr-defined]
    verify(tokens_for(agent, ada)["accessToken"])
    sequence()
    decision = expect(200, own.get("/audit?event=token.verify"))["items"][0]
    expect(200, own.get(f"/audit/{decision['id']}/proof"))
    expect(200, own.get(f"/consent/{decision['consentId']}"))
    made = {"name": "Bot", "redirectUris": [URI], "allowedScopes": ["email:read"]}
    first, again = (own.post("/agents", made, Idempotency_Key="one") for _ in range(2))
    assert expect(201, first) == expect(201, again)
    problem(own.get("/agents", X_Organization="org_other"), 403, "not_member")
    Developer.objects.filter(pk=maker.id).delete()
    expect(200, own.get("/agents"))
