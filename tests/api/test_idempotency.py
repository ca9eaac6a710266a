"""`Idempotency-Key`: a POST repeated with the same key has one effect and returns the same response."""

from datetime import timedelta
from typing import Any

import time_machine
from django.utils import timezone

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from tests.api.conftest import (
    CALLBACK,
    PASSWORD,
    SCOPES,
    Api,
    Json,
    code_for,
    credentials,
    expect,
    initiate,
    new_agent,
    problem,
    verify,
)
from tests.shared import cases

KEY = {"Idempotency_Key": "attempt-1"}
AGENT = {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": SCOPES}
PERSON = {"email": "eve@example.com", "password": PASSWORD}


def test_an_agent_is_created_once(developer: Api) -> None:
    first, second = (developer.post("/agents", AGENT, **KEY) for _ in range(2))
    assert expect(201, first) == expect(201, second)
    assert Agent.objects.count() == 1


@cases(
    ("path", "body"),
    [
        ("/policies", {"name": "x", "rules": []}),
        ("/agents", AGENT),
        ("/resource-servers", {"name": "x", "identifier": "https://x.example", "scopes": ["email:read"]}),
    ],
)
def test_the_order_of_fields_does_not_matter(developer: Api, path: str, body: Json) -> None:
    turned = dict(reversed(body.items()))
    assert expect(201, developer.post(path, body, **KEY)) == expect(201, developer.post(path, turned, **KEY))


def test_the_same_key_with_another_body_is_refused(developer: Api) -> None:
    expect(201, developer.post("/agents", AGENT, **KEY))
    answer = developer.post("/agents", {**AGENT, "name": "Other"}, **KEY)
    problem(answer, 409, "idempotency_key_reused")
    assert Agent.objects.count() == 1


def test_the_same_key_with_another_credential_or_path_is_another_request(developer: Api, rival: Api) -> None:
    mine, theirs = (expect(201, api.post("/agents", AGENT, **KEY)) for api in (developer, rival))
    assert mine["id"] != theirs["id"]
    rotated = [
        expect(200, developer.post(f"/agents/{each['id']}/rotate-secret", **KEY))
        for each in (mine, new_agent(developer))
    ]
    assert rotated[0] != rotated[1]


def test_errors_are_not_stored(developer: Api) -> None:
    problem(
        developer.post("/agents", {**AGENT, "redirectUris": ["x"]}, **KEY), 400, "validation_failed", "redirectUris.0"
    )
    expect(201, developer.post("/agents", AGENT, **KEY))


def test_the_response_is_stored_for_a_day(developer: Api) -> None:
    first = expect(201, developer.post("/agents", AGENT, **KEY))
    with time_machine.travel(timezone.now() + timedelta(hours=23)):
        assert expect(201, developer.post("/agents", AGENT, **KEY)) == first
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert expect(201, developer.post("/agents", AGENT, **KEY)) != first


def test_a_secret_is_rotated_once(developer: Api, agent: Json) -> None:
    path = f"/agents/{agent['id']}/rotate-secret"
    assert expect(200, developer.post(path, {}, **KEY)) == expect(200, developer.post(path, {}, **KEY))


@cases(
    ("path", "body"),
    [("/users/register", PERSON), ("/developers/register", {**PERSON, "name": "Acme"})],
)
def test_an_account_is_registered_once(anonymous: Api, path: str, body: Json) -> None:
    assert expect(201, anonymous.post(path, body, **KEY)) == expect(201, anonymous.post(path, body, **KEY))
    assert User.objects.filter(email=body["email"]).count() == 1


def test_a_stored_login_still_needs_the_password(anonymous: Api) -> None:
    expect(201, anonymous.post("/users/register", PERSON))
    first = expect(200, anonymous.post("/users/login", PERSON, **KEY))
    assert expect(200, anonymous.post("/users/login", PERSON, **KEY)) == first
    problem(anonymous.post("/users/login", {**PERSON, "password": "x"}, **KEY), 401, "invalid_credentials")


def test_a_consent_request_is_created_once(anonymous: Api, agent: Json) -> None:
    body = {"clientId": agent["clientId"], "requestedScopes": SCOPES, "redirectUri": CALLBACK}
    first = expect(201, anonymous.post("/consent/initiate", body, **KEY))
    assert expect(201, anonymous.post("/consent/initiate", body, **KEY)) == first
    assert Consent.objects.count() == 1


def test_a_repeated_approval_returns_the_same_code(agent: Json, ada: Api, bob: Api) -> None:
    path = f"/consent/{initiate(agent)}/approve"
    first = expect(200, ada.post(path, {}, **KEY))
    assert expect(200, ada.post(path, {}, **KEY)) == first
    problem(ada.post(path), 409, "consent_already_decided")
    problem(bob.post(path, {}, **KEY), 404, "not_found")


def test_a_repeated_exchange_is_not_a_replay(agent: Json, ada: Api) -> None:
    body = {"code": code_for(agent, ada), **credentials(agent)}
    first = expect(200, Api().post("/tokens/exchange", body, **KEY))
    assert expect(200, Api().post("/tokens/exchange", body, **KEY)) == first
    assert verify(first["accessToken"])["allowed"] is True


def test_an_exchange_repeated_after_60_seconds_is_a_replay(agent: Json, ada: Api) -> None:
    body = {"code": code_for(agent, ada), **credentials(agent)}
    with time_machine.travel(timezone.now(), tick=False) as clock:
        first = expect(200, Api().post("/tokens/exchange", body, **KEY))
        clock.shift(timedelta(seconds=59))
        assert expect(200, Api().post("/tokens/exchange", body, **KEY)) == first
        clock.shift(timedelta(seconds=1))
        problem(Api().post("/tokens/exchange", body, **KEY), 400, "invalid_grant")


def test_a_refresh_can_be_repeated_for_60_seconds(agent: Json, tokens: Json) -> None:
    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    first = expect(200, Api().post("/tokens/refresh", body, **KEY))
    assert expect(200, Api().post("/tokens/refresh", body, **KEY)) == first
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        problem(Api().post("/tokens/refresh", body, **KEY), 400, "invalid_grant")
        assert verify(first["accessToken"])["reason"] == "token_revoked"


def test_tokens_revoked_by_a_replay_with_a_key_stay_revoked(agent: Json, tokens: Json) -> None:
    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    renewed = expect(200, Api().post("/tokens/refresh", body))
    problem(Api().post("/tokens/refresh", body, **KEY), 400, "invalid_grant")
    assert verify(renewed["accessToken"])["reason"] == "token_revoked"


def test_guesses_with_a_key_are_throttled(agent: Json, settings: Any) -> None:
    settings.THROTTLE_CLIENT_AUTH = "2/minute"
    body = {"refreshToken": "x", "clientId": agent["clientId"], "clientSecret": "ags_wrong"}
    assert [Api().post("/tokens/refresh", body, **KEY).status_code for _ in range(3)] == [401, 401, 429]


@cases("key", ["", "x" * 256, "a\tb"])
def test_an_invalid_key_is_reported(developer: Api, key: str) -> None:
    problem(developer.post("/agents", AGENT, Idempotency_Key=key), 400, "validation_failed", "Idempotency-Key")
