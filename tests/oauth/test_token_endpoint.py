"""The token endpoint."""

from datetime import timedelta
from typing import Any

import time_machine
from django.test import Client

from accounts.models import User
from tests.constants import NOON, basic
from tests.oauth.client import OAuthClient, error_of, introspect
from tests.shared import cases


def test_the_response_is_uncached_json_with_the_scope(client: OAuthClient, ada: User) -> None:
    answer = client.redeem(client.code(ada))
    assert answer.status_code == 200
    assert (answer["Content-Type"], answer["Cache-Control"], answer["Pragma"]) == (
        "application/json",
        "no-store",
        "no-cache",
    )
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "email:read")


@cases("verifier", [None, "", "wrong" * 10, "short"])
def test_a_wrong_or_missing_verifier_is_invalid_grant(
    client: OAuthClient, world: Any, ada: User, verifier: str | None
) -> None:
    assert error_of(client.redeem(client.code(ada), code_verifier=verifier)) == "invalid_grant"


def test_a_replayed_code_revokes_all_its_tokens(client: OAuthClient, world: Any, ada: User, service: Any) -> None:
    code = client.code(ada)
    first = client.redeem(code).json()
    renewed = client.refresh(first["refresh_token"]).json()

    assert error_of(client.redeem(code)) == "invalid_grant"

    for tokens in (first, renewed):
        assert introspect(service, tokens["access_token"]) == {"active": False}
    assert error_of(client.refresh(renewed["refresh_token"])) == "invalid_grant"


def test_another_clients_code_is_invalid_grant_and_stays_valid(
    client: OAuthClient, other: OAuthClient, world: Any, ada: User
) -> None:
    code = client.code(ada)
    assert error_of(other.redeem(code, code_verifier=client.verifier)) == "invalid_grant"
    assert client.redeem(code).status_code == 200


def test_another_redirect_uri_is_invalid_grant(client: OAuthClient, world: Any, ada: User) -> None:
    assert error_of(client.redeem(client.code(ada), redirect_uri="https://x.example/")) == "invalid_grant"


def test_the_redirect_uri_can_be_omitted(client: OAuthClient, ada: User) -> None:
    assert client.redeem(client.code(ada), redirect_uri=None).status_code == 200


def test_an_expired_code_is_invalid_grant(client: OAuthClient, world: Any, ada: User) -> None:
    with time_machine.travel(NOON, tick=False) as time:
        code = client.code(ada)
        time.shift(timedelta(seconds=60))
        assert error_of(client.redeem(code)) == "invalid_grant"


@cases("header", ["Basic !!!", "Basic", "Basic OnNlY3JldA==", "Basic YWdjOgA=", "Bearer abc", "wrong"])
def test_invalid_basic_credentials_are_401_with_a_challenge(client: OAuthClient, world: Any, header: str) -> None:
    authorization = basic(client.agent.client_id, "wrong") if header == "wrong" else header
    answer = client.token(authorization, grant_type="client_credentials")
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic ")


def test_two_authentication_methods_are_invalid_request(client: OAuthClient, world: Any) -> None:
    answer = client.token(grant_type="client_credentials", client_secret=client.secret)
    assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


def test_a_client_id_in_the_form_must_match_basic(client: OAuthClient, other: OAuthClient, world: Any) -> None:
    good = client.token(grant_type="client_credentials", client_id=client.agent.client_id)
    bad = client.token(grant_type="client_credentials", client_id=other.agent.client_id)
    assert (good.status_code, error_of(bad)) == (200, "invalid_request")


def test_client_secret_post_works(client: OAuthClient) -> None:
    form = {"client_id": client.agent.client_id, "client_secret": client.secret}
    assert client.token("", grant_type="client_credentials", **form).status_code == 200


@cases("name", ["client_secret", "code", "refresh_token", "client_assertion"])
def test_credentials_in_the_url_are_invalid_request(client: OAuthClient, world: Any, name: str) -> None:
    answer = client.post(f"/oauth/token?{name}=x", grant_type="client_credentials")
    assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


def test_a_public_client_cannot_use_client_credentials(public: OAuthClient, world: Any) -> None:
    assert error_of(public.token(grant_type="client_credentials")) == "unauthorized_client"


def test_a_confidential_client_can_use_client_credentials(client: OAuthClient, world: Any, service: Any) -> None:
    body = client.token(grant_type="client_credentials", scope="email:read").json()
    assert "refresh_token" not in body
    found = introspect(service, body["access_token"])
    assert (found["active"], found["sub"], found.get("consent_id")) == (True, client.agent.client_id, None)


def test_client_credentials_work_only_in_the_clients_own_organization(
    client: OAuthClient, world: Any, rival: Any, service: Any
) -> None:
    foreign = world.make_resource_server(rival, "https://rival.example/api")
    answer = client.token(grant_type="client_credentials", resource="https://rival.example/api")
    assert error_of(answer) == "invalid_target"
    at_home = client.token(grant_type="client_credentials").json()["access_token"]
    assert introspect(foreign, at_home) == {"active": False}


def test_an_unknown_grant_is_unsupported(client: OAuthClient, world: Any) -> None:
    assert error_of(client.token(grant_type="password")) == "unsupported_grant_type"


def test_a_missing_grant_is_invalid_request(client: OAuthClient, world: Any) -> None:
    assert error_of(client.token()) == "invalid_request"


def test_a_repeated_parameter_is_invalid_request(client: OAuthClient, world: Any) -> None:
    answer = client.token(grant_type=["client_credentials", "client_credentials"])
    assert error_of(answer) == "invalid_request"


@cases("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_a_body_that_is_not_a_form_is_invalid_request(client: OAuthClient, world: Any, content_type: str) -> None:
    answer = Client().post("/oauth/token", b"{}", content_type=content_type)
    assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


@cases("path", ["/oauth/token", "/oauth/revoke", "/oauth/par", "/oauth/register"])
def test_get_is_405(db: None, path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_brute_force_is_429_with_retry_after(client: OAuthClient, world: Any, settings: Any) -> None:
    settings.THROTTLE_CLIENT_AUTH = "3/minute"
    wrong = basic(client.agent.client_id, "ags_wrong")
    answers = [client.token(wrong, grant_type="client_credentials") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1]["Retry-After"]) > 0


def test_an_invalid_code_does_not_count_as_a_guess(client: OAuthClient, world: Any, settings: Any) -> None:
    settings.THROTTLE_CLIENT_AUTH = "3/minute"
    assert {error_of(client.redeem("agcode_wrong")) for _ in range(5)} == {"invalid_grant"}
