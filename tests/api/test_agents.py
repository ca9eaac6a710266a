"""Registering, updating and listing an organization's agents."""

from typing import Any

from tests.api.conftest import (
    CALLBACK,
    SCOPES,
    Api,
    Json,
    credentials,
    expect,
    new_agent,
    new_developer,
    problem,
    tokens_for,
    verify,
)
from tests.shared import cases

BODY = {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": SCOPES}
FIELDS = {
    "id",
    "clientId",
    "name",
    "description",
    "redirectUris",
    "allowedScopes",
    "requirePkce",
    "status",
    "stop",
    "createdAt",
    "updatedAt",
}
ABSENT = "agt_019a1b2c3d4e7f8091a2b3c4d5e6f708"


def test_an_agent_is_registered_with_a_secret_shown_once(developer: Api) -> None:
    answer = developer.post("/agents", {**BODY, "description": "Reads mail"})
    created = expect(201, answer)
    assert set(created) == FIELDS | {"clientSecret"}
    assert created["id"].startswith("agt_")
    assert created["clientId"].startswith("agc_")
    assert created["clientSecret"].startswith("ags_")
    assert created["status"] == "active"
    assert answer["Cache-Control"] == "no-store"
    del created["clientSecret"]
    assert expect(200, developer.get(f"/agents/{created['id']}")) == created
    assert expect(200, developer.get(f"/agents/{created['clientId']}")) == created
    assert expect(200, developer.get("/agents")) == {"items": [created], "nextCursor": None}


@cases("field", BODY)
def test_a_missing_field_is_reported(developer: Api, field: str) -> None:
    rest = {name: value for name, value in BODY.items() if name != field}
    problem(developer.post("/agents", rest), 400, "validation_failed", field)


@cases(
    ("field", "value"),
    [
        ("name", " "),
        ("name", 7),
        ("description", "x" * 501),
        ("description", "\u0000"),
        ("redirectUris", []),
        ("redirectUris", CALLBACK),
        ("redirectUris", [CALLBACK] * 21),
        ("redirectUris.0", ["http://service.example/callback"]),
        ("redirectUris.0", [7]),
        ("allowedScopes", []),
        ("allowedScopes", "email:read"),
        ("requirePkce", "true"),
        ("clientId", "agc_mine"),
        ("status", "active"),
    ],
)
def test_an_invalid_field_is_reported(developer: Api, field: str, value: Any) -> None:
    body = {**BODY, field.split(".")[0]: value}
    problem(developer.post("/agents", body), 400, "validation_failed", field)


def test_an_unknown_scope_is_reported(developer: Api) -> None:
    body = {**BODY, "allowedScopes": ["email:read", "mind:read"]}
    problem(developer.post("/agents", body), 400, "invalid_scope", "allowedScopes.1")


def test_an_update_changes_only_the_given_fields(developer: Api, agent: Json) -> None:
    changed = expect(200, developer.patch(f"/agents/{agent['id']}", {"name": "Mailer", "requirePkce": True}))
    assert (changed["name"], changed["requirePkce"]) == ("Mailer", True)
    assert changed["redirectUris"] == agent["redirectUris"]
    assert changed["updatedAt"] > agent["updatedAt"]
    assert expect(200, developer.patch(f"/agents/{agent['id']}", {})) == changed


def test_null_clears_the_description(developer: Api) -> None:
    agent = new_agent(developer, description="Reads mail")
    assert expect(200, developer.patch(f"/agents/{agent['id']}", {"description": None}))["description"] == ""


@cases(
    ("field", "value"),
    [("status", "deleted"), ("redirectUris.0", ["javascript:alert(1)"]), ("id", ABSENT), ("clientId", "agc_mine")],
)
def test_an_invalid_update_is_reported(developer: Api, agent: Json, field: str, value: Any) -> None:
    body = {field.split(".")[0]: value}
    problem(developer.patch(f"/agents/{agent['id']}", body), 400, "validation_failed", field)


def test_suspending_and_reactivating_take_effect_immediately(developer: Api, agent: Json, tokens: Json) -> None:
    expect(200, developer.patch(f"/agents/{agent['id']}", {"status": "suspended"}))
    assert verify(tokens["accessToken"])["reason"] == "agent_suspended"
    expect(200, developer.patch(f"/agents/{agent['clientId']}", {"status": "active"}))
    assert verify(tokens["accessToken"])["allowed"] is True


def test_the_log_has_the_reason_of_a_suspension(developer: Api, agent: Json) -> None:
    body = {"status": "suspended", "statusReason": "It sends spam"}
    expect(200, developer.patch(f"/agents/{agent['id']}", body))
    (entry,) = expect(200, developer.get("/audit?event=agent.suspended"))["items"]
    assert entry["metadata"]["reason"] == "It sends spam"
    path, alone = f"/agents/{agent['id']}", {"statusReason": "None"}
    problem(developer.patch(path, alone), 400, "validation_failed", "statusReason")


def test_removing_scopes_takes_effect_immediately(developer: Api, agent: Json, tokens: Json) -> None:
    expect(200, developer.patch(f"/agents/{agent['id']}", {"allowedScopes": ["email:send"]}))
    denied = verify(tokens["accessToken"])
    assert (denied["reason"], denied["missingScopes"]) == ("insufficient_scope", ["email:read"])


def test_the_old_secret_works_during_the_requested_overlap(developer: Api, agent: Json, ada: Api) -> None:
    new = expect(200, developer.post(f"/agents/{agent['id']}/rotate-secret", {"overlapSeconds": 60}))
    assert set(new) == {"clientId", "clientSecret", "previousSecretExpiresAt"}
    tokens_for(agent, ada)
    tokens_for({**agent, **new}, ada)


def test_without_an_overlap_the_old_secret_stops_working(developer: Api, agent: Json) -> None:
    expect(200, developer.post(f"/agents/{agent['id']}/rotate-secret"))
    body = {"code": "x", **credentials(agent)}
    problem(Api().post("/tokens/exchange", body), 401, "invalid_client")


@cases(
    ("method", "path", "body"),
    [
        ("GET", "/agents/{}", None),
        ("PATCH", "/agents/{}", {"name": "mine"}),
        ("PATCH", "/agents/{}", {}),
        ("POST", "/agents/{}/rotate-secret", {}),
    ],
)
def test_another_organizations_agent_looks_nonexistent(
    rival: Api, agent: Json, method: str, path: str, body: Json | None
) -> None:
    for identifier in (agent["id"], agent["clientId"]):
        found = problem(rival.call(method, path.format(identifier), body), 404, "not_found")
        absent = problem(rival.call(method, path.format(ABSENT), body), 404, "not_found")
        assert {**found, "requestId": ""} == {**absent, "requestId": ""}


@cases(("method", "path"), [("GET", "/agents"), ("POST", "/agents"), ("GET", f"/agents/{ABSENT}")])
def test_a_user_account_is_not_a_developer_account(anonymous: Api, ada: Api, method: str, path: str) -> None:
    problem(anonymous.call(method, path), 401, "not_authenticated")
    problem(ada.call(method, path), 403, "forbidden")


def test_agents_are_paginated_newest_first() -> None:
    developer = new_developer("new@example.com")
    ids = [new_agent(developer)["id"] for _ in range(3)]
    first = expect(200, developer.get("/agents?limit=2"))
    second = expect(200, developer.get(f"/agents?limit=2&cursor={first['nextCursor']}"))
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["nextCursor"] is None


@cases(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=" + "A" * 4000, "cursor"),
        ("page=2", "page"),
        ("api_key=ag_x", "api_key"),
    ],
)
def test_an_invalid_query_parameter_is_reported(developer: Api, query: str, field: str) -> None:
    problem(developer.get(f"/agents?{query}"), 400, "validation_failed", field)
