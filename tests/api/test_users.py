"""A user's own consents and log."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.test import Client

from consent.models import Consent
from core import clock
from tests.api.conftest import PASSWORD, SCOPES, Api, Json, credentials, expect, initiate, problem, verify
from tests.constants import basic
from tests.shared import cases

PATHS = ["/users/{}/consents", "/users/{}/audit-logs"]
ABSENT = "usr_019a1b2c3d4e7f8091a2b3c4d5e6f708"
NO_CONSENT = "cns_019a1b2c3d4e00112233445566778899aabbccddeeff"


@pytest.fixture
def connection(agent: Json, ada: Api, tokens: Json) -> Json:
    (connection,) = expect(200, ada.get("/users/me/consents"))["items"]
    return connection


def test_a_consent_is_listed_with_its_last_use(ada: Any, agent: Json, tokens: Json, connection: Json) -> None:
    assert set(connection) == {
        "audiences",
        "modes",
        "limits",
        "guards",
        "id",
        "status",
        "agent",
        "grantedScopes",
        "delegation",
        "createdAt",
        "decidedAt",
        "lastUsedAt",
        "scopeUses",
        "suggestedRemovals",
        "expiresAt",
        "pausedAt",
    }
    assert (connection["status"], connection["grantedScopes"]) == ("approved", SCOPES)
    assert (connection["agent"]["id"], connection["agent"]["developer"]["name"]) == (agent["id"], "acme")
    assert connection["lastUsedAt"] is None
    verify(tokens["accessToken"])
    (again,) = expect(200, ada.get(f"/users/{ada.id}/consents"))["items"]
    assert again["lastUsedAt"] > again["decidedAt"]


def test_a_consent_lists_the_uses_of_each_granted_scope(ada: Any, tokens: Json, connection: Json) -> None:
    assert connection["scopeUses"] == [{"id": scope, "uses": 0, "lastUsedAt": None} for scope in SCOPES]
    verify(tokens["accessToken"], SCOPES[0], SCOPES[1], SCOPES[0])
    verify(tokens["accessToken"], SCOPES[0])
    verify(tokens["accessToken"], SCOPES[0], "contacts:delete")  # denied, so not a use
    (again,) = expect(200, ada.get("/users/me/consents"))["items"]
    assert [use["uses"] for use in again["scopeUses"]] == [2, 1, *[0 for _ in SCOPES[2:]]]
    assert again["scopeUses"][0]["lastUsedAt"] == again["lastUsedAt"] > again["scopeUses"][1]["lastUsedAt"]
    assert again["suggestedRemovals"] == []


def test_scopes_that_are_unused_for_30_days_are_suggested_for_removal(ada: Any, tokens: Json, connection: Json) -> None:
    verify(tokens["accessToken"], SCOPES[0])
    Consent.objects.update(expires_at=clock.now() + timedelta(days=90))
    for days, suggested in ((29, []), (31, SCOPES)):
        with time_machine.travel(clock.now() + timedelta(days=days)):
            session = expect(200, Api().post("/users/login", {"email": "ada@example.com", "password": PASSWORD}))
            later = Api(Authorization=f"Bearer {session['sessionToken']}")
            (item,) = expect(200, later.get("/users/me/consents"))["items"]
        assert item["suggestedRemovals"] == suggested


def test_a_denied_consent_is_listed(bob: Api, agent: Json) -> None:
    expect(200, bob.post(f"/consent/{initiate(agent)}/deny"))
    assert [item["status"] for item in expect(200, bob.get("/users/me/consents"))["items"]] == ["denied"]


def test_a_revocation_takes_effect_immediately_and_can_be_repeated(ada: Api, tokens: Json, connection: Json) -> None:
    path = f"/users/me/consents/{connection['id']}/revoke"
    revoked = expect(200, ada.post(path))
    assert (set(revoked), revoked["status"]) == ({"id", "status", "revokedAt"}, "revoked")
    assert verify(tokens["accessToken"])["reason"] == "consent_revoked"
    assert expect(200, ada.post(path)) == revoked


def test_a_denied_consent_cannot_be_revoked(ada: Api, agent: Json) -> None:
    consent_id = initiate(agent)
    expect(200, ada.post(f"/consent/{consent_id}/deny"))
    problem(ada.post(f"/users/me/consents/{consent_id}/revoke"), 409, "consent_already_decided")


@cases("template", PATHS)
def test_another_user_looks_nonexistent(ada: Any, bob: Any, anonymous: Api, developer: Api, template: str) -> None:
    theirs = problem(bob.get(template.format(ada.id)), 404, "not_found")
    absent = problem(bob.get(template.format(ABSENT)), 404, "not_found")
    assert {**theirs, "requestId": ""} == {**absent, "requestId": ""}
    problem(anonymous.get(template.format(ada.id)), 401, "not_authenticated")
    problem(developer.get(template.format("me")), 403, "forbidden")


def test_another_users_consent_looks_nonexistent(ada: Any, bob: Any, connection: Json, tokens: Json) -> None:
    for owner in ("me", bob.id, ada.id):
        theirs = problem(bob.post(f"/users/{owner}/consents/{connection['id']}/revoke"), 404, "not_found")
        absent = problem(bob.post(f"/users/{owner}/consents/{NO_CONSENT}/revoke"), 404, "not_found")
        assert {**theirs, "requestId": ""} == {**absent, "requestId": ""}
    assert verify(tokens["accessToken"])["allowed"] is True


def test_a_user_reads_their_own_log(ada: Any, tokens: Json) -> None:
    verify(tokens["accessToken"])
    items = expect(200, ada.get("/users/me/audit-logs"))["items"]
    assert items[0]["event"] == "token.verify"
    assert {item["userId"] for item in items} == {ada.id}
    (found,) = expect(200, ada.get("/users/me/audit-logs?event=consent.approved"))["items"]
    assert found["outcome"] == "allowed"


@cases("template", PATHS)
@cases(("query", "field"), [("limit=0", "limit"), ("cursor=x", "cursor"), ("userId=x", "userId")])
def test_an_invalid_query_parameter_is_reported(ada: Api, template: str, query: str, field: str) -> None:
    problem(ada.get(f"{template.format('me')}?{query}"), 400, "validation_failed", field)


def test_a_revocation_takes_no_fields(ada: Api, connection: Json) -> None:
    path = f"/users/me/consents/{connection['id']}/revoke"
    problem(ada.post(path, {"reason": "x"}), 400, "validation_failed", "reason")


def test_agents_and_services_know_a_user_by_the_id_alone(developer: Api, rival: Api, agent: Json) -> None:
    person = {"email": "zoe@secret.example", "name": "Zoe Zimmermann", "password": PASSWORD}
    zoe = expect(201, Api().post("/users/register", person))["id"]
    session = expect(200, Api().post("/users/login", {"email": person["email"], "password": PASSWORD}))
    user = Api(Authorization=f"Bearer {session['sessionToken']}")
    mail = {"name": "Mail", "identifier": "https://mail.example/", "scopes": ["email:send"]}
    server = expect(201, rival.post("/resource-servers", mail))
    service = {"Authorization": basic(server["id"], server["secret"])}
    consent = initiate(agent, requestedScopes=["email:send"], resource=mail["identifier"])
    granted = {"modes": {"email:send": "ask"}}
    code = expect(200, user.post(f"/consent/{consent}/approve", granted))["code"]
    tokens = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
    question = {"token": tokens["accessToken"], "requiredScopes": ["email:send"], "explain": True, "receipt": True}
    asked = expect(200, Api(**service).post("/tokens/verify", question))
    form, kind = f"token={tokens['accessToken']}", "application/x-www-form-urlencoded"
    sent = [
        tokens,
        asked,
        expect(200, Client().post("/oauth/introspect", form, content_type=kind, headers=service)),
        jwt.decode(tokens["accessToken"], options={"verify_signature": False}),
        jwt.decode(asked["receipt"], options={"verify_signature": False}),
        expect(200, Api(Authorization=basic(*credentials(agent).values())).get(f"/approvals/{asked['approvalId']}")),
        expect(200, Api(**service).get(f"/approvals/{asked['approvalId']}")),
        *(expect(200, one.get("/audit")) for one in (developer, rival)),
        expect(200, developer.get(f"/consent/{consent}")),
    ]
    assert all(zoe in str(each) for each in sent[:5])
    assert [word for word in ("zoe@", "secret.example", "Zimmermann") if word in str(sent)] == []
