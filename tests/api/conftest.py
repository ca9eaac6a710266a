"""A client for the JSON API, and what most tests need: a developer, an agent, users, tokens, made by services."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.selectors import session_for_token
from accounts.services import open_session, register_user
from agents.models import Agent
from agents.selectors import agent_for_client_id
from agents.services import register_agent
from api.v1.schemas.agents import NewAgentBody, show_new_agent
from api.v1.schemas.consent import InitiateBody
from api.v1.schemas.tokens import show_tokens
from consent.granting import approve_consent
from consent.models import Consent
from consent.services import request_consent
from core.actor import Actor
from developers.acting import as_developer
from developers.selectors import find_api_key
from developers.services import register_developer
from tests import constants
from tests.constants import CALLBACK, PASSWORD
from tests.shared import rows_of_module
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
BRACES = re.compile(r"\{\w+\}|<[\w:]+>")
SCOPES = list(constants.SCOPES)
VISITOR = Actor("anonymous", ip="127.0.0.1")

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
    return {**options, "data": json.dumps(options["data"])} if options else {}


def expect(status: int, answer: Any) -> Json:
    """Return the JSON of `answer`. Fail with its body if the status is another one."""
    assert answer.status_code == status, answer.content.decode()
    return answer.json() if answer.content else {}


@cache
def documented() -> Json:
    """Return the operations of the OpenAPI document by method and path, without the names of parameters."""
    paths = json.loads(DOCUMENT.read_text())["paths"]
    return {(method.upper(), BRACES.sub("{}", path)): each for path in paths for method, each in paths[path].items()}


def check_documented(answer: Any, code: str) -> None:
    """Check that the operation documents the problem."""
    if not answer.resolver_match:
        return
    path = BRACES.sub("{}", f"/{answer.resolver_match.route}")
    if operation := documented().get((answer.request["REQUEST_METHOD"], path)):
        response = operation["responses"].get(str(answer.status_code), {"description": "no such status"})
        assert f"`{code}`" in response["description"], (operation["operationId"], response["description"])


def problem(answer: Any, status: int, code: str, *fields: str) -> Json:
    """Return the problem details after checking that they have this status, this code and errors in `fields`.

    The OpenAPI document must have the code.
    """
    body = expect(status, answer)
    assert answer["Content-Type"] == "application/problem+json"
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["requestId"] == answer["X-Request-Id"]
    assert [each["field"] for each in body.get("errors", [])] == list(fields)
    check_documented(answer, code)
    return body


@pytest.fixture(autouse=True)
def _own_rows(db: None) -> None:
    """Remove what the test writes, also if it only uses fixtures of the module."""


@pytest.fixture
def anonymous(db: None) -> Api:
    return Api()


def new_developer(email: str) -> Api:
    name = email.partition("@")[0]
    return Api(X_Api_Key=register_developer(actor=VISITOR, name=name, email=email, password=PASSWORD).api_key)


def new_user(email: str) -> Api:
    user = register_user(actor=VISITOR, email=email, password=PASSWORD, name="Ada")
    api = Api(Authorization=f"Bearer {open_session(actor=VISITOR, user=user).token}")
    api.id = user.id  # type: ignore[attr-defined]
    return api


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Keep the rows of the fixtures below for all tests of a module. Those that commit have their own (`committed`)."""
    with rows_of_module(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def developer(rows: None) -> Api:
    return new_developer("acme@example.com")


@pytest.fixture(scope="module")
def rival(rows: None) -> Api:
    return new_developer("rival@example.com")


@pytest.fixture(scope="module")
def ada(rows: None) -> Any:
    return new_user("ada@example.com")


@pytest.fixture(scope="module")
def bob(rows: None) -> Any:
    return new_user("bob@example.com")


@pytest.fixture(scope="module")
def agent(developer: Api) -> Json:
    return new_agent(developer)


@pytest.fixture(scope="module")
def tokens(agent: Json, ada: Api) -> Json:
    return tokens_for(agent, ada)


def new_agent(developer: Api, **fields: Any) -> Json:
    """Return what the API shows of a new agent."""
    key = find_api_key(developer.headers["X-Api-Key"])
    assert key is not None
    body = NewAgentBody.model_validate(
        {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": SCOPES, **fields}
    )
    actor = as_developer(VISITOR, key.developer)
    registered = register_agent(actor=actor, organization=key.developer.organization, **dict(body))
    return show_new_agent(registered).model_dump(mode="json", exclude_unset=True)


def credentials(agent: Json) -> Json:
    return {"clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}


def initiate(agent: Json, **fields: Any) -> str:
    """Return the id of a new pending consent."""
    return _ask(agent, fields).id


def code_for(agent: Json, person: Api, **fields: Any) -> str:
    """Return an authorization code that `person` has granted."""
    session = session_for_token(person.headers["Authorization"].removeprefix("Bearer "))
    assert session is not None
    user, consent = session.user, _ask(agent, fields)
    actor = VISITOR.acting_as("user", user.id)
    return approve_consent(actor=actor, consent=consent, user=user, signed_in_at=session.created_at).code


def _ask(agent: Json, fields: Json) -> Consent:
    asked = {"requestedScopes": SCOPES, "redirectUri": CALLBACK, **fields}
    body = InitiateBody.model_validate({"clientId": agent["clientId"], **asked})
    return request_consent(actor=VISITOR, agent=_row_of(agent), request=body.consent_request())


def tokens_for(agent: Json, person: Api, **fields: Any) -> Json:
    code = code_for(agent, person, **fields)
    issued = exchange_code(actor=VISITOR.acting_as("agent", agent["id"]), agent=_row_of(agent), code=code)
    assert isinstance(issued, IssuedTokens), issued
    return show_tokens(issued).model_dump(mode="json", exclude_unset=True)


def _row_of(agent: Json) -> Agent:
    row = agent_for_client_id(agent["clientId"])
    assert row is not None
    return row


def verify(token: str, *scopes: str, **more: Any) -> Json:
    """Return the decision."""
    body = {"token": token, "requiredScopes": list(scopes or ["email:read"]), **more}
    return expect(200, Api().post("/tokens/verify", body))
