"""The longest tokens: whatever is granted, its token can be used."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from agents.models import Agent
from consent.targets import MAX_CLAIM
from resources.audiences import MAX_CLAIMS
from tests.api.conftest import CALLBACK, Api, Json, credentials, expect, new_agent, problem, tokens_for
from tests.oauth.client import FORM
from tokens.access_tokens import MAX_TOKEN_LENGTH


def size_of(claim: Any) -> int:
    return len(json.dumps(claim, separators=(",", ":")))


# With the resource below, they take all the bytes that they may.
SCOPES = [f"{'t' * 40}:{'y' * 57}{number:02}" for number in range(60)]
RESOURCE = "https://tickets.example/".ljust(MAX_CLAIMS - size_of([" ".join(SCOPES), [""]]), "z")
DETAIL = {
    "type": "repository",
    "identifiers": [f"{number:02}{'v' * 80}" for number in range(45)],
    "actions": SCOPES[:1],
}


@pytest.fixture
def server(developer: Api) -> Json:
    texts = {"riskLevel": "low", "title": "Tickets", "description": "Read tickets.", "cannot": "Write tickets"}
    scopes = [{"id": scope, **texts} for scope in SCOPES]
    body = {"name": "Tickets", "identifier": RESOURCE, "scopes": scopes}
    return expect(201, developer.post("/resource-servers", body))


@pytest.fixture
def agent(developer: Api, server: Json) -> Json:
    agent = new_agent(developer, allowedScopes=[*SCOPES, "email:read"])
    longest = "agc_".ljust(255, "x")
    Agent.objects.filter(pk=agent["id"]).update(client_id=longest)
    return {**agent, "clientId": longest}


def longest_detail() -> Json:
    """Return a detail whose claim takes all the bytes that it may."""
    used = size_of([DETAIL])
    return {**DETAIL, "identifiers": [*DETAIL["identifiers"], "v" * (MAX_CLAIM - used - len(',""'))]}


def test_the_longest_token_can_be_used(agent: Json, server: Json, ada: Any, settings: Any) -> None:
    settings.JWT_ALGORITHM = "RS256"  # has the longest signature
    asked = {"requestedScopes": SCOPES, "resource": RESOURCE, "authorizationDetails": [longest_detail()]}
    token = tokens_for(agent, ada, **asked)["accessToken"]
    assert 14_500 < len(token) < MAX_TOKEN_LENGTH - 1000

    caller = {"Authorization": "Basic " + b64encode(f"{server['id']}:{server['secret']}".encode()).decode()}
    body = {"token": token, "requiredScopes": SCOPES[1:2]}
    assert expect(200, Api(**caller).post("/tokens/verify", body))["allowed"]
    found = Client().post("/oauth/introspect", urlencode({"token": token}), content_type=FORM, headers=caller)
    assert found.json()["active"] is True
    bearer = {"Authorization": f"Bearer {token}", "X-Resource-Server": caller["Authorization"]}
    query = urlencode({"scopes": SCOPES[1]})
    assert Client().get(f"/api/v1/forward-auth?{query}", headers=bearer).status_code == 200
    assert expect(200, Api().post("/tokens/revoke", {"token": token}))["revoked"]


@pytest.mark.parametrize("more", [{"requestedScopes": [*SCOPES, "email:read"]}, {"optionalScopes": ["email:read"]}])
def test_a_request_for_longer_scopes_is_refused(agent: Json, anonymous: Api, more: Json) -> None:
    body = {"requestedScopes": SCOPES, "resource": RESOURCE, "clientId": agent["clientId"], "redirectUri": CALLBACK}
    answer = anonymous.post("/consent/initiate", {**body, **more})
    assert "may have at most 6144 bytes" in problem(answer, 400, "invalid_scope", "requestedScopes")["detail"]


def test_a_client_token_for_longer_scopes_is_refused(agent: Json) -> None:
    form = {"grant_type": "client_credentials", "client_id": agent["clientId"], "resource": RESOURCE}
    form["client_secret"] = credentials(agent)["clientSecret"]
    answer = Client().post("/oauth/token", urlencode(form), content_type=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    form["scope"] = " ".join(SCOPES)
    assert Client().post("/oauth/token", urlencode(form), content_type=FORM).status_code == 200
