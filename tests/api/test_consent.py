"""Requesting, reading and deciding consents."""

from datetime import timedelta
from itertools import batched
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from consent.connections import MAX_SCOPES
from tests.api.conftest import CALLBACK, Api, Json, credentials, expect, initiate, new_agent, problem
from tests.constants import CHALLENGE
from tests.shared import cases

ABSENT = "cns_019a1b2c3d4e00112233445566778899aabbccddeeff"


def body_for(agent: Json, **fields: Any) -> Json:
    body = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    return {**body, **fields}


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_new_request_is_pending_and_has_a_link(anonymous: Api, agent: Json) -> None:
    answer = anonymous.post("/consent/initiate", body_for(agent))
    made = expect(201, answer)
    assert set(made) == {"consentId", "consentUrl", "status", "expiresAt"}
    assert made["status"] == "pending"
    assert made["consentUrl"] == f"{settings.API_URL}/consent/{made['consentId']}"
    assert answer["Cache-Control"] == "no-store"


def test_as_many_scopes_as_a_request_may_have_can_be_named(developer: Api, ada: Api) -> None:
    texts = {"riskLevel": "low", "title": "Read", "description": "Read", "cannot": "write"}
    names = [f"tickets:read-{number}" for number in range(MAX_SCOPES + 1)]
    for number, own in enumerate(batched(names, 67)):
        server = {"name": "Tickets", "identifier": f"https://tickets-{number}.example"}
        expect(201, developer.post("/resource-servers", {**server, "scopes": [{**texts, "id": name} for name in own]}))
    agent = new_agent(developer, allowedScopes=names[:MAX_SCOPES])
    consent = initiate(agent, requestedScopes=names[:MAX_SCOPES])

    modes = dict.fromkeys(names, "allow")
    more = ada.post(f"/consent/{consent}/approve", {"scopes": names, "modes": modes})
    problem(more, 400, "validation_failed", "modes", "scopes")
    del modes[names.pop()]
    expect(200, ada.post(f"/consent/{consent}/approve", {"scopes": names, "modes": modes}))
    assert expect(200, ada.get("/users/me/consents"))["items"][0]["grantedScopes"] == names


def test_anyone_with_its_id_can_read_a_pending_request(anonymous: Api, agent: Json) -> None:
    consent_id = initiate(agent, reason="to read", optionalScopes=["calendar:read"], requestedScopes=["email:read"])
    shown = expect(200, anonymous.get(f"/consent/{consent_id}"))
    assert set(shown) == {
        "id",
        "status",
        "agent",
        "audiences",
        "requestedScopes",
        "redirectUri",
        "reason",
        "expiresAt",
    }
    assert shown["agent"] == {
        "name": "SmartMail",
        "description": "",
        "developer": {"name": "acme", "verified": False},
    }
    assert [scope["id"] for scope in shown["requestedScopes"]] == ["email:read", "calendar:read"]
    texts = {"id", "category", "riskLevel", "title", "description", "cannot"}
    assert set(shown["requestedScopes"][0]) == {*texts, "labels", "reversible", "asks", "covers", "excludes"}
    assert shown["reason"] == "to read"


@cases(
    ("field", "value"),
    [
        ("requestedScopes", []),
        ("requestedScopes", "email:read"),
        ("redirectUri", 7),
        ("userId", 7),
        ("optionalScopes", "x"),
        ("state", {}),
        ("codeChallenge", "short"),
        ("codeChallengeMethod", "plain"),
        ("reason", "x" * 201),
        ("reason", "a\u0000b"),
        ("resource", 7),
        ("resource", []),
        ("scope", "email:read"),
    ],
)
def test_an_invalid_field_is_reported(anonymous: Api, agent: Json, field: str, value: Any) -> None:
    answer = anonymous.post("/consent/initiate", body_for(agent, **{field: value}))
    problem(answer, 400, "validation_failed", field)


@cases("field", ["clientId", "requestedScopes", "redirectUri"])
def test_a_missing_field_is_reported(anonymous: Api, agent: Json, field: str) -> None:
    body = body_for(agent)
    del body[field]
    problem(anonymous.post("/consent/initiate", body), 400, "validation_failed", field)


def test_a_challenge_method_without_a_challenge_is_refused(anonymous: Api, agent: Json) -> None:
    answer = anonymous.post("/consent/initiate", body_for(agent, codeChallengeMethod="S256"))
    problem(answer, 400, "validation_failed", "codeChallenge")


def test_an_agent_can_require_a_challenge(anonymous: Api, developer: Api) -> None:
    agent = new_agent(developer, requirePkce=True)
    problem(anonymous.post("/consent/initiate", body_for(agent)), 400, "validation_failed", "codeChallenge")
    expect(201, anonymous.post("/consent/initiate", body_for(agent, codeChallenge=CHALLENGE)))


@cases(
    ("fields", "code"),
    [
        ({"clientId": "agc_nobody"}, "invalid_client"),
        ({"redirectUri": CALLBACK + "/"}, "invalid_redirect_uri"),
        ({"requestedScopes": ["payments:charge"]}, "invalid_scope"),
        ({"requestedScopes": ["mind:read"]}, "invalid_scope"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
    ],
)
def test_a_request_beyond_the_agents_registration_is_a_400(
    anonymous: Api, agent: Json, fields: Json, code: str
) -> None:
    answer = anonymous.post("/consent/initiate", body_for(agent, **fields))
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_suspended_agent_cannot_ask(anonymous: Api, developer: Api, agent: Json) -> None:
    expect(200, developer.patch(f"/agents/{agent['id']}", {"status": "suspended"}))
    problem(anonymous.post("/consent/initiate", body_for(agent)), 403, "agent_suspended")


def test_credentials_are_optional_but_must_be_valid(anonymous: Api, agent: Json) -> None:
    expect(201, anonymous.post("/consent/initiate", body_for(agent, **credentials(agent))))
    wrong = anonymous.post("/consent/initiate", body_for(agent, clientSecret="ags_wrong"))
    problem(wrong, 401, "invalid_client")
    assert wrong["WWW-Authenticate"].startswith("Basic")


def test_a_user_hint_does_not_reveal_whether_the_user_exists(anonymous: Api, agent: Json, ada: Any) -> None:
    shapes = [
        sorted(expect(201, anonymous.post("/consent/initiate", body_for(agent, userId=hint))))
        for hint in (ada.id, "usr_nobody", "%&?")
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_requests_are_throttled_by_address(anonymous: Api, agent: Json, settings: Any) -> None:
    settings.THROTTLE_INITIATE = "2/minute"
    codes = [anonymous.post("/consent/initiate", body_for(agent)).status_code for _ in range(3)]
    assert codes == [201, 201, 429]


def test_a_user_can_grant_some_of_the_scopes(agent: Json, ada: Api) -> None:
    consent_id = initiate(agent, state="xyz")
    answer = ada.post(f"/consent/{consent_id}/approve", {"scopes": ["email:read"]})
    approved = expect(200, answer)
    assert set(approved) == {"status", "code", "redirectUrl", "grantedScopes"}
    assert (approved["status"], approved["grantedScopes"]) == ("approved", ["email:read"])
    assert query_of(approved["redirectUrl"]) == {
        "code": approved["code"],
        "state": "xyz",
        "iss": settings.JWT_ISSUER,
    }
    assert answer["Cache-Control"] == "no-store"
    shown = expect(200, ada.get(f"/consent/{consent_id}"))
    assert (shown["status"], shown["grantedScopes"]) == ("approved", ["email:read"])


def test_a_user_can_deny(agent: Json, ada: Api) -> None:
    denied = expect(200, ada.post(f"/consent/{initiate(agent, state='xyz')}/deny"))
    assert denied["status"] == "denied"
    assert query_of(denied["redirectUrl"]) == {"error": "access_denied", "state": "xyz", "iss": settings.JWT_ISSUER}


@pytest.mark.parametrize("verb", ["approve", "deny"])
class TestDeciding:
    def test_requires_a_user(self, anonymous: Api, developer: Api, agent: Json, verb: str) -> None:
        path = f"/consent/{initiate(agent)}/{verb}"
        problem(anonymous.post(path), 401, "not_authenticated")
        problem(developer.post(path), 403, "forbidden")

    def test_is_possible_only_for_the_user_in_the_hint(self, agent: Json, ada: Any, bob: Api, verb: str) -> None:
        consent_id = initiate(agent, userId=ada.id)
        theirs = problem(bob.post(f"/consent/{consent_id}/{verb}"), 404, "not_found")
        absent = problem(bob.post(f"/consent/{ABSENT}/{verb}"), 404, "not_found")
        assert {**theirs, "requestId": ""} == {**absent, "requestId": ""}

    def test_is_possible_only_once(self, agent: Json, ada: Api, bob: Api, verb: str) -> None:
        path = f"/consent/{initiate(agent)}/{verb}"
        expect(200, ada.post(path))
        problem(ada.post(path), 409, "consent_already_decided")
        problem(bob.post(path), 404, "not_found")

    def test_is_too_late_after_ten_minutes(self, agent: Json, ada: Api, verb: str) -> None:
        consent_id = initiate(agent)
        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            problem(ada.post(f"/consent/{consent_id}/{verb}"), 410, "consent_expired")
            assert expect(200, ada.get(f"/consent/{consent_id}"))["status"] == "expired"

    def test_reports_an_unknown_field(self, agent: Json, ada: Api, verb: str) -> None:
        body = {"scope": "email:read"}
        problem(ada.post(f"/consent/{initiate(agent)}/{verb}", body), 400, "validation_failed", "scope")


@cases("scopes", [[], ["payments:charge"], ["email:read", "files:read"]])
def test_scopes_that_were_not_requested_cannot_be_granted(agent: Json, ada: Api, scopes: list[str]) -> None:
    path = f"/consent/{initiate(agent)}/approve"
    problem(ada.post(path, {"scopes": scopes}), 400, "invalid_scope")
    expect(200, ada.post(path))


def test_a_decided_consent_is_visible_only_to_its_owner_and_the_agents_organization(
    anonymous: Api, agent: Json, ada: Api, bob: Api, rival: Api, developer: Api
) -> None:
    consent_id = initiate(agent)
    expect(200, ada.post(f"/consent/{consent_id}/approve"))
    for other in (anonymous, bob, rival):
        problem(other.get(f"/consent/{consent_id}"), 404, "not_found")
    assert "grantedScopes" not in expect(200, developer.get(f"/consent/{consent_id}"))


@cases("header", [{"X_Api_Key": "ag_wrong"}, {"Authorization": "Bearer st_wrong"}])
def test_a_wrong_credential_is_refused_even_where_it_is_optional(agent: Json, header: dict[str, str]) -> None:
    problem(Api(**header).get(f"/consent/{initiate(agent)}"), 401, "not_authenticated")
