"""The organization in the API: its details, its own stop, and its deletion."""

from typing import Any

from accounts.models import User
from accounts.services import open_session
from core.actor import SYSTEM
from developers.models import Organization
from tests.api.conftest import Api, Json, expect, initiate, problem, tokens_for, verify
from tests.api.test_suspended_organization import (
    MAIL,
    basic,
    contents,
    foreign,
    own_endpoints,
    policy,
    server,
    with_ids,
)

__all__ = ["foreign", "policy", "server"]

# What a member can still do while the organization is being deleted, besides reading.
WHILE_DELETING = {"POST organization/restore", "POST policies/simulate", "POST delegations/*/end"}


def test_its_details_and_its_name(developer: Api) -> None:
    shown = expect(200, developer.get("/organization"))
    assert shown["id"].startswith("org_")
    assert {name: shown[name] for name in ("name", "domain", "verified", "stop", "deletesAt")} == {
        "name": "acme",
        "domain": None,
        "verified": False,
        "stop": None,
        "deletesAt": None,
    }
    assert (shown["role"], shown["memberId"][:4]) == ("owner", "dev_")
    own = {"name": "siem", "role": "auditor", "ownedByOrganization": True}
    key = expect(201, developer.post("/developers/api-keys", own))["apiKey"]
    told = expect(200, Api(X_Api_Key=key).get("/organization"))
    assert told == {**shown, "role": "auditor", "memberId": None}
    Organization.objects.update(terms_url="https://acme.example/terms")

    assert expect(200, developer.patch("/organization", {"name": "Acme Ltd"}))["name"] == "Acme Ltd"

    assert Organization.objects.get(pk=shown["id"]).terms_url == "https://acme.example/terms"
    for body, field in (({}, "name"), ({"name": ""}, "name"), ({"name": "x", "domain": "a.dev"}, "domain")):
        problem(developer.patch("/organization", body), 400, "validation_failed", field)


def test_a_stop_with_its_impact_and_its_proof(
    developer: Api, anonymous: Api, agent: Json, ada: Any, tokens: Json
) -> None:
    pending = initiate(agent)
    assert verify(tokens["accessToken"])["allowed"] is True
    before = expect(200, developer.get("/organization/stop"))
    assert before["proof"] is None
    assert {name: before["impact"][name] for name in ("agents", "connections", "users", "liveTokens")} == {
        "agents": 1,
        "connections": 1,
        "users": 1,
        "liveTokens": 1,
    }
    problem(developer.post("/organization/stop", {}), 400, "validation_failed", "reason")

    for _ in range(2):
        stopped = expect(200, developer.post("/organization/stop", {"reason": "A key leaked."}))
        assert stopped["stop"]["reason"] == "A key leaked."

    assert verify(tokens["accessToken"])["reason"] == "organization_stopped"
    problem(ada.post(f"/consent/{pending}/approve"), 403, "organization_stopped")
    refresh = {
        "refreshToken": tokens["refreshToken"],
        "clientId": agent["clientId"],
        "clientSecret": agent["clientSecret"],
    }
    problem(anonymous.post("/tokens/refresh", refresh), 400, "invalid_grant")
    proof = expect(200, developer.get("/organization/stop"))["proof"]
    assert (proof["event"], proof["allowedAfter"], proof["until"]) == ("organization.stopped", 0, None)
    assert expect(200, developer.post("/organization/resume"))["stop"] is None
    assert verify(tokens["accessToken"])["allowed"] is True


def test_a_deletion_and_its_undoing(developer: Api, agent: Json, ada: Any, server: Json, foreign: Json) -> None:
    token, own = (
        tokens_for(foreign, ada, requestedScopes=["email:read"], resource=MAIL)["accessToken"],
        tokens_for(agent, ada)["accessToken"],
    )
    session = Api(
        Authorization=f"Bearer {open_session(actor=SYSTEM, user=User.objects.get(email='acme@example.com')).token}"
    )
    assert session.call("DELETE", "/organization").status_code == 204

    assert expect(200, developer.get("/organization"))["deletesAt"]
    assert verify(own)["reason"] == "organization_stopped"
    assert verify(token, resource=MAIL)["reason"] == "service_suspended"
    service = Api(Authorization=basic(server))
    problem(service.get("/approvals/apr_x"), 403, "service_suspended")
    expect(200, session.post("/organization/restore"))
    assert verify(own)["allowed"] is verify(token, resource=MAIL)["allowed"] is True


def test_while_it_is_being_deleted_its_members_can_only_read(
    developer: Api, agent: Json, policy: Json, server: Json
) -> None:
    assert developer.call("DELETE", "/organization").status_code == 204
    before = contents()[:-1]
    for endpoint in own_endpoints():
        method, path = endpoint.split()
        answer = developer.call(method, "/" + with_ids(path, agent, policy, server), {} if method != "GET" else None)
        if method == "GET" or endpoint in WHILE_DELETING:
            assert answer.status_code != 409, endpoint
        else:
            problem(answer, 409, "organization_deleting")
        if endpoint == "POST organization/restore":
            developer.call("DELETE", "/organization")
            before = contents()[:-1]
    assert contents()[:-1] == before, "an export of the log is logged, nothing else changes"
