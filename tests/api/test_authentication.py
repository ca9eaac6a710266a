"""Credentials: which endpoints read which, and what happens with a wrong one or with two."""

from datetime import timedelta
from typing import Any

import time_machine
from django.middleware.csrf import CSRF_SECRET_LENGTH
from django.test import Client
from django.utils import timezone
from django.utils.crypto import get_random_string

from accounts.models import User
from developers.models import Developer, Organization
from tests.api.conftest import CALLBACK, SCOPES, Api, Json, expect, initiate, problem
from tests.shared import cases

AGENT = {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": SCOPES}


def browser(email: str) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(email=email))
    return client


def csrf_token(client: Client) -> str:
    token = get_random_string(CSRF_SECRET_LENGTH)
    client.cookies["csrftoken"] = token
    return token


@cases(
    "headers",
    [
        {"X_Api_Key": ""},
        {"X_Api_Key": "ag_wrong"},
        {"X_Api_Key": "x" * 8000},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer st_wrong"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "st_wrong"},
    ],
)
@cases("path", ["/agents", "/users/me/consents", "/audit"])
def test_a_wrong_credential_is_a_401_with_a_challenge(db: None, path: str, headers: dict[str, str]) -> None:
    answer = Api(**headers).get(path)
    problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="agentgate"'


def test_an_access_token_is_neither_a_session_token_nor_an_api_key(tokens: Json) -> None:
    for headers in ({"Authorization": f"Bearer {tokens['accessToken']}"}, {"X_Api_Key": tokens["accessToken"]}):
        problem(Api(**headers).get("/users/me/consents"), 401, "not_authenticated")
        problem(Api(**headers).get("/agents"), 401, "not_authenticated")


def test_two_credentials_are_refused(developer: Api, ada: Api) -> None:
    both = Api(**developer.headers, **ada.headers)
    problem(both.get("/agents"), 401, "multiple_credentials")
    problem(both.get("/users/me/consents"), 401, "multiple_credentials")


def test_credentials_in_the_query_string_are_ignored(developer: Api, ada: Api, anonymous: Api) -> None:
    key, token = developer.headers["X-Api-Key"], ada.headers["Authorization"].split()[1]
    problem(anonymous.get(f"/agents?X-Api-Key={key}&apiKey={key}"), 401, "not_authenticated")
    problem(anonymous.get(f"/users/me/consents?access_token={token}"), 401, "not_authenticated")


def test_a_session_token_expires_after_12_hours(ada: Api) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=11, minutes=59)):
        expect(200, ada.get("/users/me/consents"))
    with time_machine.travel(timezone.now() + timedelta(hours=12, seconds=1)):
        problem(ada.get("/users/me/consents"), 401, "not_authenticated")


def test_an_inactive_user_cannot_authenticate(ada: Any, developer: Api) -> None:
    client = browser("ada@example.com")
    User.objects.update(is_active=False)
    problem(ada.get("/users/me/consents"), 401, "not_authenticated")
    problem(developer.get("/agents"), 401, "not_authenticated")
    assert client.get("/api/v1/users/me/consents").status_code == 401


def test_a_suspended_organization_is_refused(developer: Api) -> None:
    session = expect(
        200, Api().post("/developers/login", {"email": "acme@example.com", "password": "correct-horse-battery-7"})
    )
    Organization.objects.update(suspended_at=timezone.now())
    problem(developer.get("/agents"), 403, "organization_suspended")
    problem(developer.post("/agents", AGENT), 403, "organization_suspended")
    problem(Api(Authorization=f"Bearer {session['sessionToken']}").get("/audit"), 403, "organization_suspended")


def test_a_browser_session_can_read_without_a_csrf_token(ada: Any) -> None:
    assert browser("ada@example.com").get("/api/v1/users/me/consents").status_code == 200


@cases("verb", ["approve", "deny"])
def test_a_browser_session_needs_its_csrf_token_to_decide(ada: Any, agent: Json, verb: str) -> None:
    client, path = browser("ada@example.com"), f"/api/v1/consent/{initiate(agent)}/{verb}"
    answer = client.post(path, {}, content_type="application/json")
    problem(answer, 403, "csrf_failed")
    token = csrf_token(client)
    answer = client.post(path, {}, content_type="application/json", headers={"X-CSRFToken": token[::-1]})
    problem(answer, 403, "csrf_failed")
    answer = client.post(path, {}, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 200


def test_another_origin_is_refused_even_with_the_csrf_token(ada: Any, agent: Json) -> None:
    client = browser("ada@example.com")
    headers = {"X-CSRFToken": csrf_token(client), "Origin": "https://evil.example"}
    path = f"/api/v1/consent/{initiate(agent)}/approve"
    problem(client.post(path, {}, content_type="application/json", headers=headers), 403, "csrf_failed")


def test_a_developers_browser_session_needs_its_csrf_token(developer: Api) -> None:
    client = browser("acme@example.com")
    assert client.get("/api/v1/agents").status_code == 200
    answer = client.post("/api/v1/agents", AGENT, content_type="application/json")
    problem(answer, 403, "csrf_failed")
    assert client.patch("/api/v1/agents/agt_1", {}, content_type="application/json").status_code == 403
    assert client.delete("/api/v1/policies/pol_1").status_code == 403


def test_a_form_with_a_csrf_token_is_refused(ada: Any, agent: Json) -> None:
    client = browser("ada@example.com")
    body = {"csrfmiddlewaretoken": csrf_token(client)}
    problem(client.post(f"/api/v1/consent/{initiate(agent)}/approve", body), 415, "unsupported_media_type")


def test_a_session_token_needs_no_csrf_token_even_with_a_cookie(ada: Any, bob: Any, agent: Json) -> None:
    client = browser("bob@example.com")
    path = f"/api/v1/consent/{initiate(agent, userId=ada.id)}/approve"
    answer = client.post(path, {}, content_type="application/json", headers=ada.headers)
    assert answer.status_code == 200


def test_endpoints_without_authentication_ignore_credentials(db: None) -> None:
    assert Api(X_Api_Key="ag_wrong").get("/scopes").status_code == 200
    answer = Api(Authorization="Bearer st_ended").post("/users/login", {"email": "a@b.example", "password": "x"})
    problem(answer, 401, "invalid_credentials")


@cases("path", ["/scopes", "/users/me/consents", "/tokens/verify"])
@cases("method", ["GET", "OPTIONS", "POST"])
def test_other_sites_cannot_read_responses(ada: Api, path: str, method: str) -> None:
    headers = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
    answer = ada.call(method, path, None, **headers)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_an_api_key_acts_for_its_own_organization_only(developer: Api, rival: Api) -> None:
    assert Developer.objects.count() == 2
    expect(201, developer.post("/agents", AGENT))
    assert expect(200, rival.get("/agents"))["items"] == []
