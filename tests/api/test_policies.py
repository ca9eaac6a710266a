"""Creating, updating and deleting an organization's policies."""

from typing import Any

import pytest

from policies.models import Policy
from tests.api.conftest import Api, Json, expect, new_agent, problem, verify
from tests.shared import cases

BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:*"]}}
BODY = {"name": "No mail", "rules": [BLOCK]}
FIELDS = {"id", "name", "description", "agentId", "enabled", "mode", "rules", "createdAt", "updatedAt"}
ABSENT = "pol_019a1b2c3d4e7f8091a2b3c4d5e6f708"


@pytest.fixture
def policy(developer: Api) -> Json:
    return expect(201, developer.post("/policies", BODY))


def test_a_policy_is_created_and_read(developer: Api, policy: Json) -> None:
    assert set(policy) == FIELDS
    assert (policy["agentId"], policy["enabled"], policy["rules"]) == (None, True, [BLOCK])
    assert expect(200, developer.get(f"/policies/{policy['id']}")) == policy
    assert expect(200, developer.get("/policies"))["items"] == [policy]


def test_a_policy_denies_until_it_is_deleted(developer: Api, tokens: Json, policy: Json) -> None:
    denied = verify(tokens["accessToken"])
    assert denied["reason"] == "policy_denied"
    assert denied["policy"] == {"id": policy["id"], "name": "No mail", "ruleType": "action_blocklist"}
    expect(204, developer.delete(f"/policies/{policy['id']}"))
    assert verify(tokens["accessToken"])["allowed"] is True
    problem(developer.get(f"/policies/{policy['id']}"), 404, "not_found")


def test_a_policy_for_another_agent_does_not_apply(developer: Api, tokens: Json, policy: Json) -> None:
    other = new_agent(developer)
    changed = expect(200, developer.patch(f"/policies/{policy['id']}", {"agentId": other["clientId"]}))
    assert changed["agentId"] == other["id"]
    assert verify(tokens["accessToken"])["allowed"] is True
    assert expect(200, developer.patch(f"/policies/{policy['id']}", {"agentId": None}))["agentId"] is None
    assert verify(tokens["accessToken"])["allowed"] is False


def test_a_rate_limit_says_when_to_try_again(developer: Api, tokens: Json) -> None:
    config = {"maxRequests": 1, "windowSeconds": 60, "scope": "per_user"}
    expect(201, developer.post("/policies", {"name": "Slow", "rules": [{"type": "rate_limit", "config": config}]}))
    assert verify(tokens["accessToken"])["allowed"] is True
    assert 0 < verify(tokens["accessToken"])["retryAfterSeconds"] <= 61


@cases("change", [{"name": "Other"}, {"description": "why"}, {"enabled": False}, {"mode": "shadow"}, {"rules": []}, {}])
def test_an_update_changes_only_the_given_fields(developer: Api, policy: Json, change: Json) -> None:
    changed = expect(200, developer.patch(f"/policies/{policy['id']}", change))
    kept = FIELDS - set(change) - {"updatedAt"}
    assert {name: changed[name] for name in change} == change
    assert {name: changed[name] for name in kept} == {name: policy[name] for name in kept}


@cases(
    ("body", "fields"),
    [
        ({"rules": []}, ["name"]),
        ({"name": "x"}, ["rules"]),
        ({"name": "x", "rules": {}}, ["rules"]),
        ({"name": "x", "rules": None}, ["rules"]),
        ({"name": None, "rules": None}, ["name", "rules"]),
        ({"name": "x", "rules": [{"type": "mood"}]}, ["rules.0.config", "rules.0.type"]),
        ({"name": "x", "rules": [{**BLOCK, "extra": 1}]}, ["rules.0.extra"]),
        (
            {"name": "x", "rules": [{"type": "action_blocklist", "config": {"actions": [], "deny": 1}}]},
            ["rules.0.config.deny"],
        ),
        ({"name": "x", "rules": [BLOCK], "enabled": "yes"}, ["enabled"]),
        ({"name": "x", "rules": [BLOCK], "mode": "off"}, ["mode"]),
        ({"name": "x", "rules": [BLOCK], "agentId": "agt_nobody"}, ["agentId"]),
        ({"name": "x", "rules": [BLOCK], "agentId": 7}, ["agentId"]),
        ({"name": "x", "rules": [BLOCK], "organizationId": "org_1"}, ["organizationId"]),
    ],
)
def test_an_invalid_field_is_reported(developer: Api, body: Any, fields: list[str]) -> None:
    problem(developer.post("/policies", body), 400, "validation_failed", *fields)


def test_another_organizations_agent_looks_nonexistent(rival: Api, agent: Json) -> None:
    found = problem(rival.post("/policies", {**BODY, "agentId": agent["id"]}), 400, "validation_failed", "agentId")
    absent = problem(rival.post("/policies", {**BODY, "agentId": "agt_1"}), 400, "validation_failed", "agentId")
    assert {**found, "requestId": ""} == {**absent, "requestId": ""}


@cases(("method", "body"), [("GET", None), ("PATCH", {"enabled": False}), ("DELETE", None)])
def test_another_organizations_policy_looks_nonexistent(rival: Api, policy: Json, method: str, body: Any) -> None:
    found = problem(rival.call(method, f"/policies/{policy['id']}", body), 404, "not_found")
    absent = problem(rival.call(method, f"/policies/{ABSENT}", body), 404, "not_found")
    assert {**found, "requestId": ""} == {**absent, "requestId": ""}


@cases("method", ["GET", "POST"])
def test_policies_require_a_developer(anonymous: Api, ada: Api, method: str) -> None:
    problem(anonymous.call(method, "/policies"), 401, "not_authenticated")
    problem(ada.call(method, "/policies"), 403, "forbidden")


def test_updating_a_policy_deleted_meanwhile_is_a_404(
    developer: Api, policy: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = Policy.objects.get(id=policy["id"])
    expect(204, developer.delete(f"/policies/{policy['id']}"))
    monkeypatch.setattr("api.v1.policies.policy_for_organization", lambda *args: stale)
    problem(developer.patch(f"/policies/{policy['id']}", {"enabled": False}), 404, "not_found")
