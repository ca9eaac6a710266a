"""A client for the JSON API, and fixtures for most tests: a developer, an agent, users, tokens."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests import constants
from tests.constants import CALLBACK, PASSWORD

SCOPES = list(constants.SCOPES)

Json = dict[str, Any]


class Api:
    """A client for /api/v1 with one credential. `_` in a header's name stands for `-`."""

    def __init__(self, **headers: str) -> None:
        self.client = Client()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        options = {} if body is None else {"data": body, "content_type": "application/json"}
        return self.client.generic(method, f"/api/v1{path}", headers=sent, **_encoded(options))

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def _encoded(options: Json) -> Json:
    import json

    return {**options, "data": json.dumps(options["data"])} if options else {}


def expect(status: int, answer: Any) -> Json:
    """Return the JSON of `answer`. Fail with its body if the status is another one."""
    assert answer.status_code == status, answer.content.decode()
    return answer.json() if answer.content else {}


def problem(answer: Any, status: int, code: str, *fields: str) -> Json:
    """Return the problem details after checking that they have this status, this code and errors in `fields`."""
    body = expect(status, answer)
    assert answer["Content-Type"] == "application/problem+json"
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["requestId"] == answer["X-Request-Id"]
    assert [each["field"] for each in body.get("errors", [])] == list(fields)
    return body


@pytest.fixture
def anonymous(db: None) -> Api:
    return Api()


@pytest.fixture
def new_developer(anonymous: Api) -> Callable[[str], Json]:
    def register(email: str) -> Json:
        body = {"name": email.split("@")[0], "email": email, "password": PASSWORD}
        return expect(201, anonymous.post("/developers/register", body))

    return register


@pytest.fixture
def developer(new_developer: Callable[[str], Json]) -> Api:
    return Api(X_Api_Key=new_developer("acme@example.com")["apiKey"])


@pytest.fixture
def rival(new_developer: Callable[[str], Json]) -> Api:
    return Api(X_Api_Key=new_developer("rival@example.com")["apiKey"])


@pytest.fixture
def new_user(anonymous: Api) -> Callable[[str], Api]:
    def register(email: str) -> Api:
        expect(201, anonymous.post("/users/register", {"email": email, "password": PASSWORD, "name": "Ada"}))
        session = expect(200, anonymous.post("/users/login", {"email": email, "password": PASSWORD}))
        api = Api(Authorization=f"Bearer {session['sessionToken']}")
        api.id = session["id"]  # type: ignore[attr-defined]
        return api

    return register


@pytest.fixture
def ada(new_user: Callable[[str], Api]) -> Any:
    return new_user("ada@example.com")


@pytest.fixture
def bob(new_user: Callable[[str], Api]) -> Any:
    return new_user("bob@example.com")


@pytest.fixture
def agent(developer: Api) -> Json:
    return new_agent(developer)


def new_agent(developer: Api, **fields: Any) -> Json:
    body = {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": SCOPES, **fields}
    return expect(201, developer.post("/agents", body))


def credentials(agent: Json) -> Json:
    return {"clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}


def initiate(agent: Json, **fields: Any) -> str:
    """Return the id of a new pending consent."""
    body = {"clientId": agent["clientId"], "requestedScopes": SCOPES, "redirectUri": CALLBACK, **fields}
    return str(expect(201, Api().post("/consent/initiate", body))["consentId"])


def code_for(agent: Json, person: Api, **fields: Any) -> str:
    """Return an authorization code that `person` has granted."""
    return str(expect(200, person.post(f"/consent/{initiate(agent, **fields)}/approve"))["code"])


def tokens_for(agent: Json, person: Api, **fields: Any) -> Json:
    body = {"code": code_for(agent, person, **fields), **credentials(agent)}
    return expect(200, Api().post("/tokens/exchange", body))


def verify(token: str, *scopes: str, **more: Any) -> Json:
    """Return the decision."""
    body = {"token": token, "requiredScopes": list(scopes or ["email:read"]), **more}
    return expect(200, Api().post("/tokens/verify", body))


@pytest.fixture
def tokens(agent: Json, ada: Api) -> Json:
    return tokens_for(agent, ada)
