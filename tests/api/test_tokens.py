"""Exchange, refresh and revoke."""

import base64
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from agents.models import Agent
from tests.api.conftest import (
    CALLBACK,
    Api,
    Json,
    code_for,
    credentials,
    expect,
    new_agent,
    problem,
    tokens_for,
    verify,
)
from tests.constants import CHALLENGE, VERIFIER
from tests.shared import cases


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def exchange(agent: Json, code: str, **fields: Any) -> Any:
    return Api().post("/tokens/exchange", {"code": code, **credentials(agent), **fields})


def refresh(agent: Json, token: str, **fields: Any) -> Any:
    return Api().post("/tokens/refresh", {"refreshToken": token, **credentials(agent), **fields})


def test_a_code_is_exchanged_for_a_pair_of_tokens(agent: Json, ada: Any) -> None:
    answer = exchange(agent, code_for(agent, ada))
    tokens = expect(200, answer)
    assert set(tokens) == {
        "accessToken",
        "tokenType",
        "expiresIn",
        "refreshToken",
        "refreshExpiresIn",
        "grantedScopes",
        "userId",
        "agentId",
        "consentId",
    }
    assert (tokens["tokenType"], tokens["expiresIn"], tokens["refreshExpiresIn"]) == ("Bearer", 900, 2_592_000)
    assert (tokens["userId"], tokens["agentId"]) == (ada.id, agent["id"])
    assert answer["Cache-Control"] == "no-store"


def test_http_basic_works_instead_of_the_body(agent: Json, ada: Api) -> None:
    header = basic(agent["clientId"], agent["clientSecret"])
    expect(200, Api(Authorization=header).post("/tokens/exchange", {"code": code_for(agent, ada)}))


def test_a_used_code_is_refused_and_its_tokens_are_revoked(agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    tokens = expect(200, exchange(agent, code))
    problem(exchange(agent, code), 400, "invalid_grant")
    assert verify(tokens["accessToken"])["reason"] == "token_revoked"
    problem(refresh(agent, tokens["refreshToken"]), 400, "invalid_grant")


def test_a_code_expires_after_60_seconds(agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        problem(exchange(agent, code), 400, "invalid_grant")


def test_another_clients_code_is_refused_and_stays_valid(rival: Api, agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    problem(exchange(new_agent(rival), code), 400, "invalid_grant")
    expect(200, exchange(agent, code))


@cases("fields", [{}, {"codeVerifier": "x" * 43}, {"codeVerifier": "short"}])
def test_a_challenge_requires_its_verifier(agent: Json, ada: Api, fields: Json) -> None:
    code = code_for(agent, ada, codeChallenge=CHALLENGE, codeChallengeMethod="S256")
    problem(exchange(agent, code, **fields), 400, "invalid_grant")
    expect(200, exchange(agent, code, codeVerifier=VERIFIER))


def test_a_verifier_without_a_challenge_is_refused(agent: Json, ada: Api) -> None:
    problem(exchange(agent, code_for(agent, ada), codeVerifier=VERIFIER), 400, "invalid_grant")


def test_a_redirect_uri_must_match_the_request(agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    problem(exchange(agent, code, redirectUri=CALLBACK + "/"), 400, "invalid_grant")
    expect(200, exchange(agent, code, redirectUri=CALLBACK))


def test_a_refresh_token_works_once_and_its_reuse_revokes_the_family(agent: Json, tokens: Json) -> None:
    renewed = expect(200, refresh(agent, tokens["refreshToken"]))
    assert renewed["refreshToken"] != tokens["refreshToken"]
    problem(refresh(agent, tokens["refreshToken"]), 400, "invalid_grant")
    problem(refresh(agent, renewed["refreshToken"]), 400, "invalid_grant")
    assert verify(renewed["accessToken"])["reason"] == "token_revoked"


def test_another_clients_refresh_token_is_refused_and_stays_valid(rival: Api, agent: Json, tokens: Json) -> None:
    problem(refresh(new_agent(rival), tokens["refreshToken"]), 400, "invalid_grant")
    expect(200, refresh(agent, tokens["refreshToken"]))


@pytest.mark.parametrize(("path", "field"), [("/tokens/exchange", "code"), ("/tokens/refresh", "refreshToken")])
class TestClientAuthentication:
    def test_a_missing_grant_is_reported(self, agent: Json, path: str, field: str) -> None:
        problem(Api().post(path, credentials(agent)), 400, "validation_failed", field)

    @cases("value", [None, 7, "", ["x"]])
    def test_a_malformed_grant_is_reported(self, agent: Json, path: str, field: str, value: Any) -> None:
        problem(Api().post(path, {**credentials(agent), field: value}), 400, "validation_failed", field)

    def test_an_unknown_field_is_reported(self, agent: Json, path: str, field: str) -> None:
        body = {**credentials(agent), field: "x", "grant_type": "x"}
        problem(Api().post(path, body), 400, "validation_failed", "grant_type")

    def test_an_unknown_grant_is_invalid(self, agent: Json, path: str, field: str) -> None:
        problem(Api().post(path, {**credentials(agent), field: "x\u0000"}), 400, "invalid_grant")

    @cases("missing", ["clientId", "clientSecret"])
    def test_an_incomplete_credential_is_refused(self, agent: Json, path: str, field: str, missing: str) -> None:
        body = {**credentials(agent), field: "x"}
        del body[missing]
        problem(Api().post(path, body), 401, "invalid_client")

    def test_an_unknown_client_and_a_wrong_secret_look_alike(self, agent: Json, path: str, field: str) -> None:
        wrong = {**credentials(agent), field: "x", "clientSecret": "ags_wrong"}
        answers = [Api().post(path, body) for body in (wrong, {**wrong, "clientId": "agc_nobody"})]
        assert answers[0]["WWW-Authenticate"] == answers[1]["WWW-Authenticate"]
        bodies = [{**problem(each, 401, "invalid_client"), "requestId": ""} for each in answers]
        assert bodies[0] == bodies[1]

    def test_credentials_in_two_places_are_refused(self, agent: Json, path: str, field: str) -> None:
        api = Api(Authorization=basic(agent["clientId"], agent["clientSecret"]))
        problem(api.post(path, {**credentials(agent), field: "x"}), 400, "invalid_request")
        problem(api.post(path, {"clientId": "agc_other", field: "x"}), 400, "invalid_request")
        problem(api.post(path, {"clientId": agent["clientId"], field: "x"}), 400, "invalid_grant")

    @cases("header", ["Basic ///", "Basic YQ==", "Bearer st_x", "Digest x", "Basic", ""])
    def test_an_invalid_authorization_header_is_refused(self, agent: Json, path: str, field: str, header: str) -> None:
        problem(Api(Authorization=header).post(path, {field: "x"}), 401, "invalid_client")

    def test_guesses_are_throttled(self, agent: Json, settings: Any, path: str, field: str) -> None:
        settings.THROTTLE_CLIENT_AUTH = "2/minute"
        body = {**credentials(agent), field: "x", "clientSecret": "ags_wrong"}
        assert [Api().post(path, body).status_code for _ in range(3)] == [401, 401, 429]

    def test_an_invalid_grant_does_not_count_as_a_guess(
        self, agent: Json, settings: Any, path: str, field: str
    ) -> None:
        settings.THROTTLE_CLIENT_AUTH = "2/minute"
        body = {**credentials(agent), field: "x"}
        assert [Api().post(path, body).status_code for _ in range(4)] == [400] * 4


def test_a_public_client_needs_no_secret(agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    Agent.objects.filter(id=agent["id"]).update(client_type=Agent.CLIENT_PUBLIC)
    tokens = expect(200, Api().post("/tokens/exchange", {"code": code, "clientId": agent["clientId"]}))
    body = {"refreshToken": tokens["refreshToken"], "clientId": agent["clientId"]}
    expect(200, Api().post("/tokens/refresh", body))


@cases("kind", ["accessToken", "refreshToken"])
def test_any_holder_of_a_token_can_revoke_its_family(agent: Json, tokens: Json, kind: str) -> None:
    assert expect(200, Api().post("/tokens/revoke", {"token": tokens[kind]})) == {"revoked": True}
    assert verify(tokens["accessToken"])["reason"] == "token_revoked"
    problem(refresh(agent, tokens["refreshToken"]), 400, "invalid_grant")
    assert expect(200, Api().post("/tokens/revoke", {"token": tokens[kind]})) == {"revoked": True}


@cases("token", ["x", "\u0000", "agr_" + "x" * 43, "e" * 1_000_000])
def test_revoking_an_unknown_token_succeeds(anonymous: Api, token: str) -> None:
    assert expect(200, anonymous.post("/tokens/revoke", {"token": token})) == {"revoked": True}


def test_a_client_with_credentials_can_revoke_only_its_own_tokens(rival: Api, agent: Json, tokens: Json) -> None:
    other = new_agent(rival)
    expect(200, Api().post("/tokens/revoke", {"token": tokens["refreshToken"], **credentials(other)}))
    assert verify(tokens["accessToken"])["allowed"] is True
    expect(200, Api().post("/tokens/revoke", {"token": tokens["refreshToken"], **credentials(agent)}))
    assert verify(tokens["accessToken"])["allowed"] is False


def test_a_wrong_secret_revokes_nothing(agent: Json, tokens: Json) -> None:
    body = {"token": tokens["refreshToken"], "clientId": agent["clientId"], "clientSecret": "ags_wrong"}
    problem(Api().post("/tokens/revoke", body), 401, "invalid_client")
    assert verify(tokens["accessToken"])["allowed"] is True


@cases(("body", "field"), [({}, "token"), ({"token": 7}, "token"), ({"token": "x", "hint": "y"}, "hint")])
def test_an_invalid_field_of_a_revocation_is_reported(anonymous: Api, body: Json, field: str) -> None:
    problem(anonymous.post("/tokens/revoke", body), 400, "validation_failed", field)


def test_a_suspended_organization_gets_no_tokens(agent: Json, tokens: Json) -> None:
    organization = Agent.objects.get(id=agent["id"]).organization
    assert organization is not None
    organization.suspended_at = timezone.now()
    organization.save()
    problem(refresh(agent, tokens["refreshToken"]), 400, "invalid_grant")
    assert verify(tokens["accessToken"])["reason"] == "organization_suspended"


def test_revoking_one_grant_does_not_affect_another(agent: Json, ada: Api) -> None:
    first, second = tokens_for(agent, ada), tokens_for(agent, ada)
    expect(200, Api().post("/tokens/revoke", {"token": second["accessToken"]}))
    assert verify(first["accessToken"])["allowed"] is True
